//! What can be done to a licence, and what its holder is told after each step.

use serde_json::{Value, json};

use super::{code, issue, path, policy, start};
use countersign_app_tests::Registrar;

const DAY: i64 = 86_400;

fn verb(registrar: &Registrar, licence: &Value, verb: &str, body: Value) -> Value {
    registrar.post(&format!("{}/{verb}", path(licence)), &body).expect(200)
}

#[test]
fn a_licence_lives() {
    let registrar = start();
    let policy = policy(
        &registrar,
        json!({ "plan": "pro", "durationSeconds": 30 * DAY, "features": ["export"], "activation": { "per": "machine", "limit": 2 } }),
    );
    let made = registrar
        .post("/api/v1/licenses", &json!({ "policy": policy["id"], "domains": ["Example.com"], "owner": "jane" }));
    let location = made.header("location").unwrap().to_owned();
    assert_eq!(made.header("etag"), Some("\"1\""));
    let made = made.expect(201);
    let key = made["key"].clone();
    assert!(key.as_str().unwrap().starts_with("ACME-"));
    assert_eq!(location, path(&made));
    let mut expected = json!({
        "id": made["id"], "product": "acme", "status": "active", "hint": made["hint"], "plan": "pro", "policy": policy["id"],
        "issuedAt": "2026-11-22T10:00:00Z", "expiresAt": "2026-12-22T10:00:00Z", "expiryStrategy": "restrict", "graceSeconds": 0,
        "features": ["export"], "domains": ["example.com"], "requires": [],
        "activation": { "per": "machine", "limit": 2, "overage": "none", "match": "all", "reviveSeconds": 0 },
        "owner": "jane", "metadata": {}, "createdAt": "2026-11-22T10:00:00Z", "updatedAt": "2026-11-22T10:00:00Z",
        "revision": 1, "generation": 1,
    });
    let read = registrar.get(&location);
    assert_eq!(read.header("etag"), Some("\"1\""));
    assert_eq!(read.expect(200), expected);
    expected["key"] = key.clone();
    expected["propagated"] = true.into();
    assert_eq!(made, expected);

    let seat = |machine: &str, domain: &str| {
        registrar.holder("activate", &json!({ "key": key, "domain": domain, "fingerprint": machine }))
    };
    let at = |domain: &str| {
        registrar.holder("validate", &json!({ "key": key, "domain": domain, "fingerprint": "m1" }))["code"].clone()
    };
    assert_eq!(seat("m1", "example.com")["code"], "VALID");
    assert_eq!(at("example.com"), "VALID");
    assert_eq!(at("example.org"), "DOMAIN_MISMATCH");

    // Domains.
    let licence = verb(&registrar, &made, "domains", json!({ "domains": ["example.org", "example.com"] }));
    assert_eq!((&licence["domains"], &licence["revision"]), (&json!(["example.com", "example.org"]), &json!(2)));
    assert_eq!(at("www.example.org"), "VALID");
    let removed = registrar.delete(&format!("{location}/domains/EXAMPLE.com")).expect(200);
    assert_eq!((&removed["domains"], &removed["generation"]), (&json!(["example.org"]), &json!(3)));
    assert_eq!(at("example.com"), "DOMAIN_MISMATCH");
    assert_eq!(registrar.delete(&format!("{location}/domains/example.com")).expect(200)["revision"], 3);
    let last = registrar.delete(&format!("{location}/domains/example.org")).problem(422, "UNPROCESSABLE");
    assert_eq!(last["field"], "domains");

    // Status: each again changes nothing.
    for _ in 0..2 {
        assert_eq!(verb(&registrar, &made, "suspend", json!({}))["revision"], 4);
        assert_eq!(at("example.org"), "SUSPENDED");
    }
    assert_eq!(registrar.request("POST", &format!("{location}/resume")).send().expect(200)["status"], "active");
    assert_eq!(at("example.org"), "VALID");

    // Time.
    registrar.advance(40 * DAY);
    assert_eq!(at("example.org"), "EXPIRED");
    let renewed = verb(&registrar, &made, "renew", json!({}));
    assert_eq!(renewed["expiresAt"], "2027-01-31T10:00:00Z", "thirty days from now");
    assert_eq!(at("example.org"), "VALID");
    let renewed = verb(&registrar, &made, "renew", json!({ "durationSeconds": DAY }));
    assert_eq!(renewed["expiresAt"], "2027-02-01T10:00:00Z", "a day from its end");
    let renewed = verb(&registrar, &made, "renew", json!({ "expiresAt": "2028-01-01T00:00:00+01:00" }));
    assert_eq!(renewed["expiresAt"], "2027-12-31T23:00:00Z");
    let earlier = registrar.post(&format!("{location}/renew"), &json!({ "expiresAt": "2027-01-01T00:00:00Z" }));
    assert_eq!(earlier.problem(422, "UNPROCESSABLE")["field"], "expiresAt");

    // Another key. The seat stays.
    assert_eq!(seat("m2", "example.org")["code"], "VALID");
    let rotated = verb(&registrar, &made, "rotate-key", json!({}));
    let new_key = rotated["key"].clone();
    assert_ne!(new_key, key);
    assert_eq!(rotated["hint"].as_str().unwrap(), &new_key.as_str().unwrap()[new_key.as_str().unwrap().len() - 4..]);
    assert_eq!(at("example.org"), "REVOKED");
    let asked = json!({ "key": new_key, "domain": "example.org", "fingerprint": "m1" });
    assert_eq!(registrar.holder("validate", &asked)["code"], "VALID");
    let third = json!({ "key": new_key, "domain": "example.org", "fingerprint": "m3" });
    assert_eq!(registrar.holder("activate", &third)["code"], "TOO_MANY_ACTIVATIONS");
    let old = json!({ "key": key, "fingerprint": "m1" });
    assert_eq!(registrar.holder("deactivate", &old)["deactivated"], false, "who has the old key alone frees no seat");
    let seats = registrar.get(&format!("{location}/activations")).expect(200);
    assert_eq!(seats["activations"].as_array().unwrap().len(), 2);
    let since = json!("2026-11-22T10:00:00Z");
    assert_eq!(
        (&seats["activations"][0]["activatedAt"], &seats["activations"][0]["leaseEndsAt"]),
        (&since, &Value::Null)
    );
    assert_eq!((&seats["per"], &seats["seats"]), (&json!("machine"), &json!({ "limit": 2, "used": 2 })));
    registrar.post("/api/v1/licenses/lookup", &json!({ "key": key })).problem(404, "NOT_FOUND");
    let found = registrar.post("/api/v1/licenses/lookup", &json!({ "key": new_key }));
    assert_eq!(found.expect(200)["id"], made["id"]);

    // Revoked is for good.
    assert_eq!(verb(&registrar, &made, "revoke", json!({}))["status"], "revoked");
    let refused = registrar.holder("validate", &asked);
    assert_eq!(refused["code"], "REVOKED");
    assert_eq!(verb(&registrar, &made, "revoke", json!({}))["status"], "revoked");
    for again in ["resume", "suspend", "renew", "rotate-key"] {
        registrar.post(&format!("{location}/{again}"), &json!({})).problem(409, "REVOKED");
    }
    registrar.patch(&location, &json!({ "owner": "joe" })).problem(409, "REVOKED");
    registrar.patch(&location, &json!({ "owner": "jane" })).expect(200);

    // Deleted, and its keys known.
    registrar.delete(&location).expect(204);
    registrar.get(&location).problem(404, "NOT_FOUND");
    registrar.delete(&location).problem(404, "NOT_FOUND");
    for key in [&key, &new_key] {
        assert_eq!(code(&registrar, key), "REVOKED");
        let again = registrar.post("/api/v1/licenses", &json!({ "product": "acme", "plan": "pro", "key": key }));
        again.problem(409, "KEY_TAKEN");
    }
    let events =
        registrar.get(&format!("/api/v1/events?limit=100&subject={}", made["id"].as_str().unwrap())).expect(200);
    let actions: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
    let expected = [
        "license.created",
        "license.domains-changed",
        "license.domains-changed",
        "license.suspended",
        "license.resumed",
        "license.renewed",
        "license.renewed",
        "license.renewed",
        "license.key-rotated",
        "license.revoked",
        "license.deleted",
    ];
    assert_eq!(actions, expected);
    let told = events.to_string() + &registrar.world().journal().concat();
    for key in [&key, &new_key] {
        assert!(!told.contains(key.as_str().unwrap()));
    }
}

#[test]
fn an_existing_key_is_stored_as_given() {
    let registrar = start();
    let licence = issue(&registrar, json!({ "key": "AAAA-BBBB-CCCC-DDDD-EEEE" }));
    assert_eq!((licence.get("key"), &licence["hint"]), (None, &json!("EEEE")));
    assert_eq!(code(&registrar, &json!("AAAA-BBBB-CCCC-DDDD-EEEE")), "VALID");
    let taken = json!({ "product": "acme", "plan": "pro", "key": "AAAA-BBBB-CCCC-DDDD-EEEE" });
    registrar.post("/api/v1/licenses", &taken).problem(409, "KEY_TAKEN");
    let other = issue(&registrar, json!({}));
    let rotate = |key: &str| registrar.post(&format!("{}/rotate-key", path(&other)), &json!({ "key": key }));
    rotate("AAAA-BBBB-CCCC-DDDD-EEEE").problem(409, "KEY_TAKEN");
    rotate(other["key"].as_str().unwrap()).problem(409, "KEY_TAKEN");
    rotate("").problem(400, "INVALID_REQUEST");
    let rotated = rotate("another key of somebody's").expect(200);
    assert!(rotated.get("key").is_none() && rotated["hint"] == "dy's");
    assert_eq!(code(&registrar, &json!("another key of somebody's")), "VALID");
    assert_eq!(code(&registrar, &other["key"]), "REVOKED");
}

#[test]
fn renewing_a_term_that_starts_with_use_counts_from_that_use() {
    let registrar = start();
    let terms = json!({ "plan": "trial", "expiryBasis": "first-validation", "durationSeconds": 10 * DAY });
    let policy = policy(&registrar, terms);
    let licence = registrar.post("/api/v1/licenses", &json!({ "policy": policy["id"] })).expect(201);
    assert_eq!((licence.get("expiresAt"), &licence["durationSeconds"]), (None, &json!(10 * DAY)));
    assert_eq!(verb(&registrar, &licence, "renew", json!({ "durationSeconds": DAY }))["durationSeconds"], 11 * DAY);
    assert_eq!(code(&registrar, &licence["key"]), "VALID");
    let seats = registrar.get(&format!("{}/activations", path(&licence))).expect(200);
    assert_eq!(seats, json!({ "activations": [], "usage": [], "begunAt": "2026-11-22T10:00:00Z" }));
    registrar.advance(20 * DAY);
    assert_eq!(code(&registrar, &licence["key"]), "EXPIRED");
    let renewed = verb(&registrar, &licence, "renew", json!({}));
    assert_eq!(renewed["durationSeconds"], 30 * DAY, "ten days from now");
    assert_eq!(code(&registrar, &licence["key"]), "VALID");
    let until = registrar.post(&format!("{}/renew", path(&licence)), &json!({ "expiresAt": "2030-01-01T00:00:00Z" }));
    assert_eq!(until.problem(422, "UNPROCESSABLE")["field"], "expiresAt");
    registrar.world().is_store_down = true;
    let unknown = registrar.post(&format!("{}/renew", path(&licence)), &json!({})).problem(503, "UNAVAILABLE");
    assert_eq!(unknown["reason"], "store-unavailable");
}

#[test]
fn changing_the_policy_changes_the_terms() {
    let registrar = start();
    let small = policy(&registrar, json!({ "plan": "small", "durationSeconds": 10 * DAY, "maxDomains": 1 }));
    let large = policy(
        &registrar,
        json!({ "plan": "large", "durationSeconds": 20 * DAY, "maxDomains": 2, "features": ["a"],
            "allowances": [{ "name": "exports", "limit": 3, "period": "month" }] }),
    );
    let later = policy(&registrar, json!({ "expiryBasis": "first-validation", "durationSeconds": DAY }));
    let asked =
        json!({ "policy": small["id"], "domains": ["example.com"], "owner": "jane", "metadata": { "order": "7" } });
    let licence = registrar.post("/api/v1/licenses", &asked).expect(201);
    let change = |policy: &Value| {
        registrar.post(&format!("{}/change-policy", path(&licence)), &json!({ "policy": policy["id"] }))
    };
    let changed = change(&large).expect(200);
    assert_eq!(
        (&changed["plan"], &changed["features"], &changed["maxDomains"]),
        (&json!("large"), &json!(["a"]), &json!(2))
    );
    for same in ["hint", "expiresAt", "issuedAt", "domains", "owner", "metadata", "createdAt"] {
        assert_eq!(changed[same], licence[same], "{same}");
    }
    assert_eq!(changed["policy"], large["id"]);
    let verdict =
        registrar.holder("validate", &json!({ "key": licence["key"], "domain": "example.com", "features": ["a"] }));
    assert_eq!((&verdict["code"], &verdict["plan"]), (&json!("VALID"), &json!("large")));
    registrar.holder(
        "usage",
        &json!({ "key": licence["key"], "domain": "example.com", "allowance": "exports", "consume": 2 }),
    );
    let used = registrar.get(&format!("{}/activations", path(&licence))).expect(200);
    let left =
        json!([{ "name": "exports", "limit": 3, "used": 2, "remaining": 1, "resetsAt": "2026-12-01T00:00:00Z" }]);
    assert_eq!(used["usage"], left);

    verb(&registrar, &licence, "domains", json!({ "domains": ["example.org"] }));
    assert_eq!(change(&small).problem(422, "UNPROCESSABLE")["field"], "domains");

    // From a fixed end to one that is counted from use, and back to the end that this came to.
    let changed = change(&later).expect(200);
    assert_eq!((&changed["plan"], changed.get("expiresAt")), (&json!("large"), None));
    assert_eq!(changed["durationSeconds"], DAY);
    registrar.advance(3_600);
    registrar.holder("validate", &json!({ "key": licence["key"], "domain": "example.com" }));
    let changed = change(&large).expect(200);
    assert_eq!((&changed["expiresAt"], changed.get("durationSeconds")), (&json!("2026-11-23T11:00:00Z"), None));

    registrar.post("/api/v1/products", &json!({ "code": "other" })).expect(201);
    let foreign = json!({ "product": "other", "name": "x", "plan": "x" });
    let foreign = registrar.post("/api/v1/policies", &foreign).expect(201);
    assert_eq!(change(&foreign).problem(422, "UNPROCESSABLE")["field"], "policy");
    assert_eq!(change(&json!({ "id": "pol_0" })).problem(422, "UNPROCESSABLE")["field"], "policy");
    registrar.delete(&format!("/api/v1/policies/{}", large["id"].as_str().unwrap())).problem(409, "CONFLICT");
}

#[test]
fn an_unavailable_store_gets_the_change_later() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    registrar.world().is_store_down = true;
    let suspended = verb(&registrar, &licence, "suspend", json!({}));
    assert_eq!(suspended["propagated"], false);
    assert_eq!(
        verb(&registrar, &licence, "suspend", json!({}))["propagated"],
        false,
        "nothing new, and nothing delivered"
    );
    registrar.world().is_store_down = false;
    assert_eq!(code(&registrar, &licence["key"]), "VALID");
    let delivered = registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200);
    assert_eq!(delivered, json!({ "delivered": 1, "left": 0 }));
    assert_eq!(code(&registrar, &licence["key"]), "SUSPENDED");
    assert_eq!(verb(&registrar, &licence, "suspend", json!({}))["propagated"], true);
}
