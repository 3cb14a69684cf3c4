//! A request is read or refused, and one that is read is answered. The first byte selects the verb,
//! and whether the body is a form.
#![no_main]
use countersign::{
    decide::Case,
    license::License,
    name::IdempotencyKey,
    request::{Request, Verb},
    state::State,
    time::Timestamp,
    transitions::{activate, deactivate, heartbeat, usage, validate},
};

const RECORD: &[u8] = br#"{"format":1,"generation":1,"id":"lic_0123456789abcdefghjkmnpqrs","product":"acme","status":"active",
    "plan":"pro","issuedAt":"2026-01-01T00:00:00Z","expiresAt":"2026-05-01T00:00:00Z","expiryStrategy":"maintain","features":["a"],
    "domains":["example.com"],"versions":{"from":"1","below":"3"},"requires":[],
    "activation":{"per":"machine","limit":1,"match":"two"},"allowances":[{"name":"credits","limit":5}]}"#;

const VERBS: [Verb; 6] =
    [Verb::Validate, Verb::Activate, Verb::Heartbeat, Verb::Deactivate, Verb::Activations, Verb::Usage];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((pick, body)) = input.split_first() else { return };
    let verb = VERBS[usize::from(*pick) % VERBS.len()];
    let request = if *pick < 128 { Request::from_json(verb, body) } else { Request::from_form(verb, body) };
    let Ok(request) = request else { return };
    let license = License::from_json(RECORD).unwrap();
    let case = Case::new(&license, &request);
    let (mut state, now) = (State::default(), Timestamp::from_unix(1_800_000_000));
    let verdict = match verb {
        Verb::Validate | Verb::Activations => validate(&case, &mut state, now),
        Verb::Activate => activate(&case, &mut state, now),
        Verb::Heartbeat => heartbeat(&case, &mut state, now),
        Verb::Deactivate => {
            deactivate(&case, &mut state, now);
            return;
        }
        Verb::Usage => {
            let operation = request.operation(&IdempotencyKey::parse("k").unwrap(), &license.id);
            usage(&case, &mut state, operation, None, now).unwrap().verdict
        }
    };
    verdict.to_json(Some(&license), &request);
});
