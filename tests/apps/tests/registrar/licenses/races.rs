//! Concurrent changes of the same licence.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{code, issue, path, start};
use countersign_app_tests::{Answer, Registrar, at_once};

#[test]
fn concurrent_first_writes_create_the_tables_once() {
    for _ in 0..5 {
        let registrar = Registrar::start();
        let made =
            at_once(8, |number| registrar.post("/api/v1/products", &json!({ "code": format!("product-{number}") })));
        assert!(made.iter().all(|answer| answer.status == 201), "{made:?}");
        let errors = std::mem::take(&mut registrar.world().sql_errors);
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn one_of_concurrent_patches_on_one_revision_wins() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    for round in 1..=5 {
        let tag = format!("\"{round}\"");
        let answers = at_once(12, |number| {
            let asking = registrar.request("PATCH", &path(&licence)).header("if-match", &tag);
            asking.json(&json!({ "owner": format!("{round}-{number}") })).send()
        });
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| [200, 412].contains(&answer.status)), "{answers:?}");
        let now = registrar.get(&path(&licence)).expect(200);
        assert_eq!((&now["owner"], &now["revision"]), (&won[0].body["owner"], &json!(round + 1)));
    }
}

#[test]
fn concurrent_additions_lose_no_domain() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    let answers = at_once(24, |number| {
        registrar.post(&format!("{}/domains", path(&licence)), &json!({ "domains": [format!("d{number}.example")] }))
    });
    answers.into_iter().for_each(|answer| drop(answer.expect(200)));
    let now = registrar.get(&path(&licence)).expect(200);
    let domains: BTreeSet<&str> =
        now["domains"].as_array().unwrap().iter().map(|domain| domain.as_str().unwrap()).collect();
    assert_eq!((domains.len(), &now["revision"]), (24, &json!(25)));
    for number in 0..24 {
        let asked = json!({ "key": licence["key"], "domain": format!("d{number}.example") });
        assert_eq!(registrar.holder("validate", &asked)["code"], "VALID");
    }
}

#[test]
fn one_key_is_issued_to_one_licence() {
    let registrar = start();
    let answers = at_once(8, |_| {
        registrar.post("/api/v1/licenses", &json!({ "product": "acme", "plan": "pro", "key": "a key from elsewhere" }))
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.body["code"] == "KEY_TAKEN"), "{answers:?}");
    assert_eq!(registrar.get("/api/v1/licenses").expect(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_key_that_is_adopted_and_imported_becomes_one_licence() {
    for round in 0..5 {
        let from = start();
        issue(&from, json!({ "key": "a key from elsewhere" }));
        let registrar = start();
        registrar.world().entries = from.world().entries.clone();
        // Start the adoption at the step that lists the store, the one that adopts.
        let adoption = registrar.post("/api/v1/reconcile", &json!({ "dryRun": true })).expect(200);
        let adoption = json!({ "adopt": true, "cursor": adoption["next"] });
        let line = json!({ "product": "acme", "plan": "pro", "key": "a key from elsewhere" });
        let answers = at_once(9, |number| match (number + round) % 3 {
            0 => registrar.post("/api/v1/reconcile", &adoption),
            1 => registrar.post("/api/v1/licenses", &line),
            _ => {
                let import = registrar.request("POST", "/api/v1/licenses/import");
                import.body("application/x-ndjson", line.to_string().as_bytes()).send()
            }
        });
        let made = |answer: &Answer| match answer.status {
            200 => answer.body["adopted"].as_u64().or(answer.body["imported"].as_u64()).unwrap(),
            201 => 1,
            _ => u64::from(answer.body["code"] != "KEY_TAKEN") * 100,
        };
        assert_eq!(answers.iter().map(made).sum::<u64>(), 1, "{answers:?}");
        let licences = registrar.get("/api/v1/licenses").expect(200)["items"].take();
        assert_eq!(licences.as_array().unwrap().len(), 1, "{licences}");
        let events = registrar.get("/api/v1/events").expect(200);
        assert_eq!(events["head"]["number"], 2, "one for the product and one for the licence");
        assert_eq!(code(&registrar, &line["key"]), "VALID");
    }
}

#[test]
fn concurrent_rotations_leave_one_valid_key() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    let answers = at_once(8, |_| registrar.post(&format!("{}/rotate-key", path(&licence)), &json!({})));
    let mut keys: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200)["key"].take()).collect();
    keys.push(licence["key"].clone());
    let codes: Vec<Value> = keys.iter().map(|key| code(&registrar, key)).collect();
    assert_eq!(codes.iter().filter(|code| **code == "VALID").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == "REVOKED").count(), 8);
}

#[test]
fn deleting_a_product_never_loses_a_licence() {
    for _ in 0..5 {
        let registrar = start();
        let answers = at_once(4, |number| match number {
            0 => registrar.delete("/api/v1/products/acme"),
            _ => registrar.post("/api/v1/licenses", &json!({ "product": "acme", "plan": "pro" })),
        });
        let issued = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(answers[0].status, if issued == 0 { 204 } else { 409 }, "{answers:?}");
    }
}
