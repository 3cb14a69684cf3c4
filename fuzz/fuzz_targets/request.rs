//! A request is read or refused, and one that is read is decided on.
#![no_main]
use countersign::{decide::decide, record::License, request::{Request, Verb}, state::State, time::Timestamp};

const RECORD: &[u8] = br#"{"format":1,"generation":1,"id":"lic_0123456789abcdefghjkmnpqrs","product":"acme","status":"active",
    "plan":"pro","issuedAt":"2026-01-01T00:00:00Z","expiresAt":"2026-05-01T00:00:00Z","expiryStrategy":"maintain","features":["a"],
    "domains":["example.com"],"versions":{"from":"1","below":"3"},"requires":[]}"#;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Ok(request) = Request::from_json(Verb::Validate, body) {
        let license = License::from_json(RECORD).unwrap();
        decide(&license, &State::default(), &request, Timestamp::from_unix(1_800_000_000)).to_json(&request);
    }
});
