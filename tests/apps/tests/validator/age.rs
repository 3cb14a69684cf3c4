//! A store that may be out of date: what is old may grant, and refuses only once it is confirmed.

use countersign::key;
use countersign_app_tests::Validator;
use countersign_host::bindings::store::{Entry, Lookup};
use serde_json::{Value, json};

use crate::case::ID;
use crate::{BEGIN, KEY};

fn record(status: &str, seats: Value) -> Vec<u8> {
    let mut record = json!({
        "format": 1, "generation": 1, "id": ID, "product": "acme", "status": status, "plan": "pro",
        "issuedAt": "2026-01-01T00:00:00Z", "features": [], "domains": [], "requires": [],
    });
    if !seats.is_null() {
        record["activation"] = seats;
    }
    record.to_string().into_bytes()
}

/// A validator whose store has one licence, and remembers another state of it.
fn start(now: &str, before: &str, age_seconds: u32, stale: bool) -> Validator {
    let validator = Validator::start();
    let key = key::read(KEY).unwrap().store_key();
    let mut world = validator.world();
    world.now = BEGIN;
    world.write(&key, record(now, Value::Null));
    let entry = Some(Entry { value: record(before, Value::Null), version: 1 });
    world.remembered.insert(key, Lookup { entry, age_seconds, stale });
    drop(world);
    validator
}

fn validate(validator: &mut Validator) -> (u16, Value) {
    validator.ask("validate", &json!({ "key": KEY }), None)
}

#[test]
fn what_is_old_may_grant_and_says_so_if_it_cannot_be_confirmed() {
    let mut validator = start("suspended", "active", 59, false);
    let (status, answer) = validate(&mut validator);
    assert_eq!((status, &answer["code"], answer.get("staleSeconds")), (200, &json!("VALID"), None));
    assert_eq!(validator.world().calls, 1, "one read");

    let mut validator = start("suspended", "active", 4_000, true);
    let (status, answer) = validate(&mut validator);
    assert_eq!((status, &answer["code"], &answer["staleSeconds"]), (200, &json!("VALID"), &json!(4_000)));
    let event = validator.world().journal().pop().unwrap();
    assert!(event.contains(r#""code":"VALID""#) && event.contains(r#""staleSeconds":4000"#), "{event}");
}

#[test]
fn what_is_old_is_confirmed_before_it_refuses() {
    for stale in [false, true] {
        let mut validator = start("active", "suspended", 59, stale);
        let (status, answer) = validate(&mut validator);
        assert_eq!((status, &answer["code"], answer.get("staleSeconds")), (200, &json!("VALID"), None));
        assert_eq!(validator.world().calls, 2);
    }
    let mut validator = start("suspended", "suspended", 59, false);
    assert_eq!(validate(&mut validator).1["code"], "SUSPENDED");
}

#[test]
fn what_was_confirmed_now_refuses_at_once() {
    let mut validator = start("active", "suspended", 0, false);
    assert_eq!(validate(&mut validator).1["code"], "SUSPENDED");
    assert_eq!(validator.world().calls, 1);
}

#[test]
fn a_refusal_that_cannot_be_confirmed_is_a_fault() {
    let mut validator = start("active", "suspended", 4_000, true);
    validator.world().is_origin_down = true;
    let (status, answer) = validate(&mut validator);
    assert_eq!((status, &answer["code"], &answer["reason"]), (503, &json!("UNAVAILABLE"), &json!("unconfirmed")));
    assert!(answer.get("valid").is_none());
    // What is old, but not older than the operator lets it be, is good enough.
    let mut validator = start("active", "suspended", 59, false);
    validator.world().is_origin_down = true;
    assert_eq!(validate(&mut validator).1["code"], "SUSPENDED");
}

#[test]
fn a_revocation_is_final_however_old_it_is() {
    let mut validator = start("revoked", "revoked", 4_000, true);
    validator.world().is_origin_down = true;
    let (status, answer) = validate(&mut validator);
    assert_eq!((status, &answer["code"]), (200, &json!("REVOKED")));
    assert_eq!(validator.world().calls, 1);
}

#[test]
fn a_record_that_is_old_and_corrupt_is_confirmed_too() {
    let mut validator = start("active", "active", 59, false);
    let key = key::read(KEY).unwrap().store_key();
    validator.world().remembered.get_mut(&key).unwrap().entry.as_mut().unwrap().value = b"no record".to_vec();
    assert_eq!(validate(&mut validator).1["code"], "VALID");
}

/// The change is made although the licence is refused, and it would be made twice if a refusal by
/// what is old had it made again.
#[test]
fn a_change_that_was_made_is_not_made_again_to_confirm_a_refusal() {
    let mut validator = Validator::start();
    let key = key::read(KEY).unwrap().store_key();
    validator.world().now = BEGIN;
    let record = |status: &str| {
        let mut record: Value = serde_json::from_slice(&record(status, Value::Null)).unwrap();
        record["allowances"] =
            json!([{ "name": "credits", "limit": 10, "period": "total", "overage": "none", "returns": "holder" }]);
        record.to_string().into_bytes()
    };
    validator.world().write(&key, record("active"));
    let ask = |change: &str, amount: u64| json!({ "key": KEY, "allowance": "credits", change: amount });
    assert_eq!(validator.ask("usage", &ask("consume", 5), None).1["allowance"]["used"], 5);
    let entry = Some(Entry { value: record("suspended"), version: 1 });
    validator.world().remembered.insert(key, Lookup { entry, age_seconds: 59, stale: true });
    let (_, answer) = validator.ask("usage", &ask("return", 2), None);
    assert_eq!((&answer["applied"], &answer["allowance"]["used"]), (&json!(true), &json!(3)), "{answer}");
    validator.world().remembered.clear();
    let read = json!({ "key": KEY, "allowance": "credits" });
    assert_eq!(validator.ask("usage", &read, None).1["allowance"]["used"], 3);
}

/// Another edge gave or took a seat that this one does not know of.
#[test]
fn seats_that_are_old_are_confirmed_before_they_refuse_or_are_listed() {
    let mut validator = Validator::start();
    let key = key::read(KEY).unwrap().store_key();
    validator.world().now = BEGIN;
    let seats = json!({ "limit": 1, "per": "machine", "overage": "none", "match": "all", "reviveSeconds": 0 });
    validator.world().write(&key, record("active", seats));
    let here = json!({ "key": KEY, "fingerprint": ["here"] });
    let (_, answer) = validator.ask("activate", &here, None);
    assert_eq!(answer["code"], "VALID", "{answer}");
    let state = format!("state:{ID}");
    let unused = Lookup { entry: None, age_seconds: 59, stale: true };
    validator.world().remembered.insert(state, unused);

    assert_eq!(validator.ask("validate", &here, None).1["code"], "VALID");
    assert_eq!(validator.ask("activations", &here, None).1["activations"].as_array().unwrap().len(), 1);
    let elsewhere = json!({ "key": KEY, "fingerprint": ["elsewhere"] });
    assert_eq!(validator.ask("activate", &elsewhere, None).1["code"], "TOO_MANY_ACTIVATIONS");
    assert_eq!(validator.ask("deactivate", &here, None).1["deactivated"], true);

    validator.world().is_origin_down = true;
    for verb in ["validate", "activations", "deactivate"] {
        let (status, answer) = validator.ask(verb, &here, None);
        assert_eq!((status, &answer["reason"]), (503, &json!("unconfirmed")), "{verb} {answer}");
    }
}
