//! The audit: every change appends to one hash chain, and tampering breaks it.

use countersign::audit::{BEGINNING, link};
use countersign::hex;
use serde_json::{Value, json};

use countersign_app_tests::{Answer, Registrar};

/// All events, page by page, and the end of the chain.
fn events(registrar: &Registrar, limit: u32) -> (Vec<Value>, Value) {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = registrar.get(&format!("/api/v1/events?limit={limit}{cursor}")).expect(200);
        events.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (events, page["head"].clone()),
        }
    }
}

/// The number of the first event that is out of place or not as it was written.
fn first_fault(registrar: &Registrar) -> Option<u64> {
    let (events, head) = events(registrar, 100);
    let (mut previous, mut number) = (BEGINNING, 0u64);
    for mut event in events {
        number += 1;
        let members = event.as_object_mut().unwrap();
        let (hash, before) = (members.remove("hash").unwrap(), members.remove("previous").unwrap());
        let is_linked = before.as_str().and_then(hex::decode) == Some(previous) && event["number"] == number;
        previous = link(&previous, &event);
        if !is_linked || hash != hex::encode(&previous) {
            return Some(number);
        }
    }
    (head["number"] != number || head["hash"] != hex::encode(&previous)).then_some(number + 1)
}

fn with_some_events() -> Registrar {
    let registrar = Registrar::start();
    registrar
        .post("/api/v1/products", &json!({ "code": "acme", "metadata": { "note": "ä \"b\"\n\u{2028}" } }))
        .expect(201);
    registrar.patch("/api/v1/products/acme", &json!({ "name": "Acme" })).expect(200);
    let policy =
        json!({ "product": "acme", "name": "pro", "plan": "pro", "durationSeconds": 86_400, "requires": ["domain"] });
    let policy = registrar.post("/api/v1/policies", &policy).expect(201);
    registrar.token("reader");
    registrar.delete(&format!("/api/v1/policies/{}", policy["id"].as_str().unwrap())).expect(204);
    registrar.delete("/api/v1/products/acme").expect(204);
    registrar
}

#[test]
fn every_change_appends_to_the_chain() {
    let registrar = with_some_events();
    let (all, head) = events(&registrar, 100);
    let told: Vec<_> = all.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        ["product.created", "product.updated", "policy.created", "token.created", "policy.deleted", "product.deleted"]
    );
    assert_eq!(head["number"], 6);
    assert_eq!(events(&registrar, 2), (all.clone(), head));
    assert_eq!(first_fault(&registrar), None);
    assert_eq!((&all[0]["before"], &all[5]["after"]), (&Value::Null, &Value::Null));
    assert_eq!(all[1]["before"], all[0]["after"]);
    assert_eq!((&all[1]["after"]["name"], &all[1]["subject"]), (&json!("Acme"), &json!("acme")));
    assert!(all[3]["after"].get("token").is_none() && all[3]["after"].get("hash").is_none());
}

#[test]
fn tampering_with_events_is_found() {
    let cases = [
        ("UPDATE events SET actor = 'host' WHERE number = 3", 3),
        ("UPDATE events SET after = '{}' WHERE number = 2", 2),
        ("UPDATE events SET before = NULL WHERE number = 2", 2),
        ("UPDATE events SET at = at + 1 WHERE number = 1", 1),
        ("UPDATE events SET request_id = 'other' WHERE number = 6", 6),
        ("DELETE FROM events WHERE number = 1", 1),
        ("DELETE FROM events WHERE number = 4", 4),
        ("DELETE FROM events WHERE number = 6", 6),
        ("DELETE FROM events", 1),
        ("UPDATE events SET number = 99 WHERE number = 2", 2),
        ("UPDATE events SET hash = zeroblob(32) WHERE number = 5", 5),
        ("UPDATE chain SET hash = zeroblob(32)", 7),
        (
            "UPDATE events SET number = -number WHERE number IN (2, 3);
             UPDATE events SET number = 5 + number WHERE number < 0",
            2,
        ),
    ];
    for (tampering, expected) in cases {
        let registrar = with_some_events();
        registrar.database().execute_batch(tampering).unwrap();
        assert_eq!(first_fault(&registrar), Some(expected), "{tampering}");
    }
}

#[test]
fn events_are_filtered_by_their_fields() {
    let registrar = with_some_events();
    registrar.advance(60);
    registrar.patch("/api/v1/products/acme", &json!({ "name": "Acme" })).problem(404, "NOT_FOUND");
    registrar.post("/api/v1/products", &json!({ "code": "later" })).expect(201);
    let numbers = |query: &str| -> Vec<u64> {
        let found = registrar.get(&format!("/api/v1/events?{query}")).expect(200);
        found["items"].as_array().unwrap().iter().map(|event| event["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers("subject=acme"), [1, 2, 6]);
    assert_eq!(numbers("action=product.created"), [1, 7]);
    assert_eq!(numbers("actor=operator&action=token.created"), [4]);
    assert_eq!(numbers("actor=host"), [] as [u64; 0]);
    assert_eq!(numbers("since=2026-11-22T10:00:01Z"), [7]);
    assert_eq!(numbers("until=2026-11-22T10:01:00Z&subject=acme"), [1, 2, 6]);
    let refused = |answer: Answer, field: &str| assert_eq!(answer.problem(400, "INVALID_REQUEST")["field"], field);
    for (query, field) in [
        ("since=yesterday", "since"),
        ("until=", "until"),
        ("action=nothing", "action"),
        ("limit=0", "limit"),
        ("cursor=1", "cursor"),
        ("unknown=1", "unknown"),
        ("limit=1&limit=1", "limit"),
        ("subject=", "subject"),
    ] {
        refused(registrar.get(&format!("/api/v1/events?{query}")), field);
    }
}

#[test]
fn a_page_of_large_events_ends_early() {
    let registrar = Registrar::start();
    let license = registrar.issue();
    let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    let domains: Vec<_> = (0..1_000).map(|number| format!("shop-number-{number}.some-longer-example.com")).collect();
    registrar.patch(&path, &json!({ "domains": domains })).expect(200);
    for round in 0..25 {
        registrar.patch(&path, &json!({ "owner": format!("owner {round}") })).expect(200);
    }
    let first = registrar.get("/api/v1/events?limit=100").expect(200);
    assert!(first["items"].as_array().unwrap().len() < 28 && first["next"].is_string());
    assert_eq!(events(&registrar, 100).0.len(), 28);
    assert_eq!(first_fault(&registrar), None);
}
