//! Tokens bound to products: what they see and may do.

use serde_json::{Value, json};

use super::{issue, path, start};
use countersign_app_tests::{Answer, Registrar};

/// A registrar with the products `acme`, `other` and `third`, and a token for the last two.
fn scoped(role: &str) -> (Registrar, String) {
    let registrar = start();
    for code in ["other", "third"] {
        registrar.post("/api/v1/products", &json!({ "code": code })).expect(201);
    }
    let token = json!({ "name": "shop", "role": role, "products": ["other", "third"] });
    let token = registrar.post("/api/v1/tokens", &token).expect(201)["token"].as_str().unwrap().to_owned();
    (registrar, token)
}

#[test]
fn a_scoped_list_keeps_the_order_of_all_licences() {
    let (registrar, token) = scoped("reader");
    for number in 0..12 {
        let product = ["acme", "third", "other"][number % 3];
        let fields = json!({ "product": product, "owner": format!("o{number:02}"), "expiresAt": format!("2027-01-{:02}T00:00:00Z", 28 - number) });
        issue(&registrar, fields);
    }
    let owners = |query: &str| {
        let (mut owners, mut cursor) = (Vec::new(), String::new());
        loop {
            let target = format!("/api/v1/licenses?limit=3&{query}{cursor}");
            let page = registrar.anonymous("GET", &target).token(&token).send().expect(200);
            let number = |item: &Value| item["owner"].as_str().unwrap()[1..].parse::<u32>().unwrap();
            owners.extend(page["items"].as_array().unwrap().iter().map(number));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return owners,
            }
        }
    };
    assert_eq!(owners(""), [1, 2, 4, 5, 7, 8, 10, 11]);
    assert_eq!(owners("status=active"), [1, 2, 4, 5, 7, 8, 10, 11]);
    assert_eq!(owners("product=third"), [1, 4, 7, 10]);
    assert_eq!(owners("product=acme"), [0; 0]);
    assert_eq!(owners("owner=o00"), [0; 0]);
    assert_eq!(owners("owner=o01"), [1]);
    assert_eq!(owners("search=o0"), [1, 2, 4, 5, 7, 8]);
    assert_eq!(owners("expiringBefore=2028-01-01T00:00:00Z"), [11, 10, 8, 7, 5, 4, 2, 1]);
}

#[test]
fn licences_of_other_products_are_not_found() {
    let (registrar, token) = scoped("admin");
    let foreign = issue(&registrar, json!({ "key": "a foreign key of somebody" }));
    let own = issue(&registrar, json!({ "product": "other" }));
    let ask = |method: &str, target: &str, body: Value| -> Answer {
        let asking = registrar.anonymous(method, target).token(&token);
        if body.is_null() { asking.send() } else { asking.json(&body).send() }
    };
    let at = |verb: &str| format!("{}{verb}", path(&foreign));
    for (method, verb, body) in [
        ("GET", "", Value::Null),
        ("GET", "/activations", Value::Null),
        ("PATCH", "", json!({ "owner": "x" })),
        ("DELETE", "", Value::Null),
        ("POST", "/suspend", json!({})),
        ("POST", "/resume", json!({})),
        ("POST", "/revoke", json!({})),
        ("POST", "/renew", json!({ "durationSeconds": 1 })),
        ("POST", "/rotate-key", json!({})),
        ("POST", "/change-policy", json!({ "policy": "pol_none" })),
        ("POST", "/domains", json!({ "domains": ["example.com"] })),
        ("DELETE", "/domains/example.com", Value::Null),
    ] {
        ask(method, &at(verb), body).problem(404, "NOT_FOUND");
    }
    let lookup = |key: &str| ask("POST", "/api/v1/licenses/lookup", json!({ "key": key }));
    lookup("a foreign key of somebody").problem(404, "NOT_FOUND");
    lookup(own["key"].as_str().unwrap()).expect(200);
    ask("POST", "/api/v1/licenses", json!({ "product": "acme", "plan": "pro" })).problem(403, "FORBIDDEN");
    ask("POST", "/api/v1/licenses/batch", json!({ "count": 1, "product": "acme", "plan": "pro" }))
        .problem(403, "FORBIDDEN");
    ask("POST", "/api/v1/licenses", json!({ "product": "third", "plan": "pro" })).expect(201);
    let body = b"{\"product\":\"acme\",\"plan\":\"pro\"}\n{\"product\":\"other\",\"plan\":\"pro\"}";
    let import = registrar.anonymous("POST", "/api/v1/licenses/import").token(&token);
    let report = import.body("application/x-ndjson", body).send().expect(200);
    assert_eq!((&report["imported"], &report["errors"][0]["code"]), (&json!(1), &json!("FORBIDDEN")));
    let exported = ask("GET", "/api/v1/licenses/export", Value::Null);
    assert_eq!(exported.bytes.iter().filter(|byte| **byte == b'\n').count(), 3);
    ask("GET", "/api/v1/stats", Value::Null).problem(403, "FORBIDDEN");
    ask("POST", "/api/v1/reconcile", json!({})).problem(403, "FORBIDDEN");
    assert_eq!(registrar.get(&path(&foreign)).expect(200)["revision"], 1);
}

#[test]
fn support_may_change_only_owners_and_metadata() {
    let registrar = start();
    let licence = issue(&registrar, json!({ "domains": ["example.com"] }));
    let support = registrar.token("support");
    let patch = |body: Value| registrar.anonymous("PATCH", &path(&licence)).token(&support).json(&body).send();
    patch(json!({ "owner": "jane", "metadata": { "ticket": "9" } })).expect(200);
    patch(json!({ "owner": "joe", "plan": "max" })).problem(403, "FORBIDDEN");
    patch(json!({ "expiresAt": null })).problem(403, "FORBIDDEN");
    assert_eq!(registrar.get(&path(&licence)).expect(200)["owner"], "jane");
}
