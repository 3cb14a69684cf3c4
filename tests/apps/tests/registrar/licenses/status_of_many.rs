//! Suspends and resumes all licences that a filter finds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{code, issue, path, start};
use countersign_app_tests::Registrar;

/// All portions of a verb: what was found, changed and revoked, and the ids.
fn set(registrar: &Registrar, verb: &str, query: &str) -> (u64, u64, u64, BTreeSet<String>) {
    let (mut sums, mut ids, mut cursor) = ([0; 3], BTreeSet::new(), String::new());
    loop {
        let report =
            registrar.post(&format!("/api/v1/licenses/{verb}?limit=2&{query}{cursor}"), &json!({})).expect(200);
        for (sum, name) in sums.iter_mut().zip(["found", "changed", "revoked"]) {
            *sum += report[name].as_u64().unwrap();
        }
        ids.extend(report["licenses"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        match report["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (sums[0], sums[1], sums[2], ids),
        }
    }
}

#[test]
fn all_licences_of_an_owner_are_suspended_and_resumed_with_an_event_each() {
    let registrar = start();
    let of = |owner: &str| issue(&registrar, json!({ "owner": owner }));
    let (janes, joe): (Vec<Value>, Value) = ((0..5).map(|_| of("Jane@Example.com")).collect(), of("joe"));
    registrar.post(&format!("{}/suspend", path(&janes[0])), &json!({})).expect(200);
    registrar.post(&format!("{}/revoke", path(&janes[1])), &json!({})).expect(200);
    let expected: BTreeSet<_> = janes[2..].iter().map(|licence| licence["id"].as_str().unwrap().to_owned()).collect();
    let events =
        |registrar: &Registrar| registrar.get("/api/v1/events").expect(200)["head"]["number"].as_u64().unwrap();
    let before = events(&registrar);
    assert_eq!(set(&registrar, "suspend", "owner=jane@example.COM&dryRun=true"), (5, 3, 1, expected.clone()));
    assert_eq!((events(&registrar), code(&registrar, &janes[2]["key"])), (before, json!("VALID")));
    assert_eq!(set(&registrar, "suspend", "owner=jane@example.COM"), (5, 3, 1, expected));
    assert_eq!(events(&registrar), before + 3);
    for (licence, expected) in janes.iter().zip(["SUSPENDED", "REVOKED", "SUSPENDED", "SUSPENDED", "SUSPENDED"]) {
        assert_eq!(code(&registrar, &licence["key"]), expected);
    }
    assert_eq!(code(&registrar, &joe["key"]), "VALID");
    assert_eq!(set(&registrar, "suspend", "owner=jane@example.com").1, 0, "again changes nothing");
    assert_eq!(set(&registrar, "resume", "search=example.com").1, 4);
    assert_eq!(code(&registrar, &janes[0]["key"]), "VALID");
}

#[test]
fn a_filter_is_required_and_a_token_finds_its_products_only() {
    let registrar = start();
    registrar.post("/api/v1/products", &json!({ "code": "other" })).expect(201);
    let (mine, foreign) = (
        issue(&registrar, json!({ "owner": "jane" })),
        issue(&registrar, json!({ "owner": "jane", "product": "other" })),
    );
    for query in ["", "?status=active", "?dryRun=true"] {
        registrar.post(&format!("/api/v1/licenses/suspend{query}"), &json!({})).problem(400, "INVALID_REQUEST");
    }
    let token = json!({ "name": "shop", "role": "issuer", "products": ["acme"] });
    let token = registrar.post("/api/v1/tokens", &token).expect(201)["token"].as_str().unwrap().to_owned();
    let asking = registrar.anonymous("POST", "/api/v1/licenses/suspend?owner=jane").token(&token).json(&json!({}));
    assert_eq!(asking.send().expect(200)["changed"], 1);
    assert_eq!(code(&registrar, &mine["key"]), "SUSPENDED");
    assert_eq!(code(&registrar, &foreign["key"]), "VALID");
}
