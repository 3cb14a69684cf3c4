//! A state that is read is written as it was. On it, no verb exceeds a limit, and a refusal changes
//! nothing.
#![no_main]
use countersign::{
    decide::Case,
    license::License,
    request::{Request, Verb},
    state::{Memory, State},
    time::Timestamp,
    transitions::{activate, deactivate, heartbeat, usage, validate},
};
use std::sync::LazyLock;

const KEY: &str = r#""key":"a key from elsewhere""#;

/// With few seats that match partly, with many seats, and without seats.
static LICENSES: LazyLock<[License; 3]> = LazyLock::new(|| {
    let rules = [
        r#""expiryBasis":"first-activation","durationSeconds":1000000,"activation":{"per":"machine","limit":2,"overage":"150%",
            "match":"any","leaseSeconds":60,"reviveSeconds":60},"allowances":[{"name":"a","limit":2,"overage":"150%"}]"#,
        r#""activation":{"per":"user","limit":1000},"allowances":[{"name":"a","limit":9,"period":"month","overage":"always"}]"#,
        r#""expiryBasis":"first-validation","durationSeconds":60,"allowances":[{"name":"a","limit":1,"period":"week"}]"#,
    ];
    rules.map(|rules| {
        let record = format!(
            r#"{{"format":1,"generation":1,"id":"lic_0123456789abcdefghjkmnpqrs","product":"acme","status":"active","plan":"p",
                "issuedAt":"2026-01-01T00:00:00Z","features":[],"domains":[],"requires":[],{rules}}}"#
        );
        License::from_json(record.as_bytes()).unwrap()
    })
});

fn request(verb: Verb, fields: &str) -> Request {
    Request::from_json(verb, format!("{{{KEY},{fields}}}").as_bytes()).unwrap()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Memory::from_bytes(bytes).map(|memory| assert_eq!(memory.to_bytes(), bytes));
    let Ok(before) = State::from_bytes(bytes) else { return };
    assert_eq!(before.to_bytes(), bytes);
    let now = before.written_at.unwrap_or(Timestamp::from_unix(1_800_000_000));
    let who = r#""fingerprint":["a","b"],"user":"u""#;
    let asked = request(Verb::Activate, who);
    let gone = request(Verb::Deactivate, who);
    let uses = [r#""consume":1"#, r#""return":1"#]
        .map(|change| request(Verb::Usage, &format!(r#"{who},"allowance":"a",{change}"#)));
    for license in LICENSES.iter() {
        for verb in [validate, activate, heartbeat] {
            let mut after = before.clone();
            let verdict = verb(&Case::new(license, &asked), &mut after, now);
            let ceiling = license.seat_policy.map_or(0, |policy| policy.ceiling());
            assert!(after.seats.len() <= ceiling.max(before.seats.len()));
            assert!(verdict.is_valid() || after == before);
            assert_eq!(State::from_bytes(&after.to_bytes()), Ok(after));
            verdict.to_json(Some(license), &asked);
        }
        for asked in &uses {
            let mut after = before.clone();
            let used = usage(&Case::new(license, asked), &mut after, None, None, now).unwrap();
            assert!(used.effect.is_applied || used.verdict.is_valid() || after == before);
            assert_eq!(State::from_bytes(&after.to_bytes()), Ok(after));
        }
        let mut after = before.clone();
        deactivate(&Case::new(license, &gone), &mut after, now);
        assert!(after.seats.len() <= before.seats.len());
    }
});
