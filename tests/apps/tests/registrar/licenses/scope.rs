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
fn a_scoped_token_cannot_tell_whether_another_product_has_a_key_or_an_id() {
    let (registrar, token) = scoped("admin");
    let key = "a foreign key of somebody";
    let foreign = issue(&registrar, json!({ "key": key }));
    let policy = json!({ "product": "acme", "name": "pro", "plan": "pro" });
    let policy = registrar.post("/api/v1/policies", &policy).expect(201);
    let own = issue(&registrar, json!({ "product": "other" }));
    let taken = issue(&registrar, json!({ "product": "other", "key": "a key of my own product" }));
    let post = |target: &str, body: Value| registrar.anonymous("POST", target).token(&token).json(&body).send();
    let line = |fields: Value| {
        let mut line = json!({ "product": "other", "plan": "pro" });
        line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let import = registrar.anonymous("POST", "/api/v1/licenses/import?dryRun=true").token(&token);
        let report = import.body("application/x-ndjson", line.to_string().as_bytes()).send().expect(200);
        report["errors"][0].clone()
    };
    let mut refusals = Vec::new();
    for key in [key, "a key of my own product"] {
        for (target, body) in [
            ("/api/v1/licenses".to_owned(), json!({ "product": "other", "plan": "pro", "key": key })),
            (format!("{}/rotate-key", path(&own)), json!({ "key": key })),
        ] {
            let refused = post(&target, body).problem(409, "UNUSABLE");
            refusals.push((refused["detail"].clone(), refused["field"].clone()));
            registrar.advance(120);
        }
        let error = line(json!({ "key": key }));
        refusals.push((error["detail"].clone(), error["field"].clone()));
        registrar.advance(120);
    }
    for id in [&foreign["id"], &taken["id"]] {
        let error = line(json!({ "id": id }));
        refusals.push((error["detail"].clone(), error["field"].clone()));
        registrar.advance(120);
    }
    let id = json!({ "id": policy["id"], "product": "other", "name": "pro", "plan": "pro" });
    let refused = post("/api/v1/policies", id).problem(409, "UNUSABLE");
    refusals.push((refused["detail"].clone(), refused["field"].clone()));
    assert_eq!(refusals.len(), 9);
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{refusals:?}");

    // A policy of another product is one that does not exist.
    for policy in [policy["id"].as_str().unwrap(), "pol_00000000000000000000000000"] {
        let refused = post(&format!("{}/change-policy", path(&own)), json!({ "policy": policy }));
        let detail = refused.problem(422, "UNPROCESSABLE")["detail"].clone();
        assert_eq!(detail, "`policy` names a policy that does not exist; create it first.");
        let refused = post("/api/v1/licenses", json!({ "policy": policy }));
        assert_eq!(refused.problem(422, "UNPROCESSABLE")["detail"], detail);
    }
    // Who may see all products gets the reason.
    registrar
        .post("/api/v1/licenses", &json!({ "product": "acme", "plan": "pro", "key": key }))
        .problem(409, "KEY_TAKEN");
}

#[test]
fn a_scoped_token_that_guesses_must_wait() {
    let (registrar, token) = scoped("issuer");
    issue(&registrar, json!({ "key": "a foreign key of somebody" }));
    let post = |token: &str, key: &str| {
        let body = json!({ "product": "other", "plan": "pro", "key": key });
        registrar.anonymous("POST", "/api/v1/licenses").token(token).json(&body).send()
    };
    for _ in 0..10 {
        post(&token, "a foreign key of somebody").problem(409, "UNUSABLE");
    }
    let waits = post(&token, "a key that nobody has yet");
    assert_eq!(waits.header("retry-after"), Some("1"));
    waits.problem(429, "TOO_MANY_FAILURES");
    // It may do everything else meanwhile, and so may others.
    let body = json!({ "product": "other", "plan": "pro" });
    registrar.anonymous("POST", "/api/v1/licenses").token(&token).json(&body).send().expect(201);
    post(&registrar.token("issuer"), "a key that nobody has yet").expect(201);
    registrar.advance(1);
    post(&token, "another key that nobody has").expect(201);
    // The lines of one import count too, also in a dry run.
    let line = format!("{}\n", json!({ "product": "other", "plan": "pro", "key": "a foreign key of somebody" }));
    let import = || {
        let import = registrar.anonymous("POST", "/api/v1/licenses/import?dryRun=true").token(&token);
        import.body("application/x-ndjson", line.repeat(20).as_bytes()).send()
    };
    registrar.advance(901);
    import().expect(200);
    import().problem(429, "TOO_MANY_FAILURES");
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
