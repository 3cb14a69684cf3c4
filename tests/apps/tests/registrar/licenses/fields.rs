//! The fields of issuing and patching: accepted values and refusals.

use serde_json::{Value, json};

use super::{code, issue, path, policy, start};
use countersign_app_tests::Registrar;

#[test]
fn a_licence_overrides_single_terms_of_its_policy() {
    let registrar = start();
    let policy = policy(
        &registrar,
        json!({ "plan": "pro", "durationSeconds": 60, "graceSeconds": 5, "maxDomains": 3, "features": ["a", "b"],
            "activation": { "per": "user", "limit": 2, "leaseSeconds": 60 }, "versions": { "from": "1.0.0", "below": "2.0.0" } }),
    );
    let overrides = json!({ "policy": policy["id"], "features": ["c"], "activation": { "limit": 9 }, "versions": null, "graceSeconds": 0 });
    let licence = registrar.post("/api/v1/licenses", &overrides).expect(201);
    assert_eq!(licence["features"], json!(["c"]));
    assert_eq!((&licence["activation"]["limit"], &licence["activation"]["per"]), (&json!(9), &json!("user")));
    assert_eq!(
        (licence.get("versions"), &licence["graceSeconds"], &licence["maxDomains"]),
        (None, &json!(0), &json!(3))
    );
    assert_eq!(licence["expiresAt"], "2026-11-22T10:01:00Z");
    let endless = json!({ "policy": policy["id"], "expiresAt": null });
    assert!(registrar.post("/api/v1/licenses", &endless).expect(201).get("expiresAt").is_none());
}

#[test]
fn a_refusal_names_the_field() {
    let registrar = start();
    let policy = policy(&registrar, json!({ "plan": "pro", "expiryBasis": "first-validation", "durationSeconds": 60 }));
    registrar.post("/api/v1/products", &json!({ "code": "other" })).expect(201);
    let p = &policy["id"];
    let many = vec!["example.com"; 1_001];
    let bad = [
        (json!({ "plan": "pro" }), "product"),
        (json!({ "product": "acme" }), "plan"),
        (json!({ "product": "acme", "plan": "" }), "plan"),
        (json!({ "product": "acme", "plan": "pro", "owner": "" }), "owner"),
        (json!({ "product": "acme", "plan": "pro", "owner": "a\u{0}" }), "owner"),
        (json!({ "product": "acme", "plan": "pro", "owner": "x".repeat(257) }), "owner"),
        (json!({ "product": "acme", "plan": "pro", "key": "" }), "key"),
        (json!({ "product": "acme", "plan": "pro", "key": "ACME-00000-00000-00000-00000-00000-00000" }), "key"),
        (json!({ "product": "acme", "plan": "pro", "keyPrefix": "a" }), "keyPrefix"),
        (json!({ "product": "acme", "plan": "pro", "domains": ["co.uk"] }), "domains[0]"),
        (json!({ "product": "acme", "plan": "pro", "domains": ["example.com", "https://example.com"] }), "domains[1]"),
        (json!({ "product": "acme", "plan": "pro", "domains": many }), "domains"),
        (json!({ "product": "acme", "plan": "pro", "maxDomains": 0 }), "maxDomains"),
        (json!({ "product": "acme", "plan": "pro", "maxDomains": 1_001 }), "maxDomains"),
        (json!({ "product": "acme", "plan": "pro", "durationSeconds": 0 }), "durationSeconds"),
        (json!({ "product": "acme", "plan": "pro", "features": vec!["x"; 65] }), "features"),
        (
            json!({ "product": "acme", "plan": "pro", "activation": { "per": "machine", "limit": 0 } }),
            "activation.limit",
        ),
        (
            json!({ "product": "acme", "plan": "pro", "activation": { "per": "fingerprint", "limit": 2 } }),
            "activation.per",
        ),
        (json!({ "product": "acme", "plan": "pro", "versions": { "below": "three" } }), "versions.below"),
        (json!({ "product": "acme", "plan": "pro", "features": ["a", ""] }), "features[1]"),
        (json!({ "product": "acme", "plan": "pro", "metadata": { "note": 7 } }), "metadata.note"),
        (
            json!({ "product": "acme", "plan": "pro", "allowances": [{ "name": "a", "limit": 1 }, { "name": "a", "limit": 2 }] }),
            "allowances[1].name",
        ),
        (json!({ "product": "acme", "plan": "pro", "expiresAt": "tomorrow" }), "expiresAt"),
        (json!({ "product": "acme", "plan": "pro", "status": "active" }), "status"),
        (json!({ "product": "acme", "plan": "pro", "id": "lic_0123456789abcdefghjkmnpqrs" }), "id"),
    ];
    for (body, field) in &bad {
        let problem = registrar.post("/api/v1/licenses", body).problem(400, "INVALID_REQUEST");
        assert_eq!(problem["field"], *field, "{problem}");
        assert!(!problem.to_string().contains("00000"));
    }
    let refused = [
        (json!({ "product": "none", "plan": "pro" }), "product"),
        (json!({ "policy": "pol_none" }), "policy"),
        (json!({ "product": "other", "policy": p }), "policy"),
        (json!({ "policy": p, "expiresAt": "2030-01-01T00:00:00Z" }), "expiresAt"),
        (json!({ "policy": p, "durationSeconds": null }), "durationSeconds"),
        (json!({ "policy": p, "expiryBasis": "first-activation" }), "activation"),
        (json!({ "policy": p, "activation": { "limit": 2 } }), "activation.per"),
        (
            json!({ "product": "acme", "plan": "pro", "maxDomains": 1, "domains": ["a.example", "b.example"] }),
            "domains",
        ),
    ];
    for (body, field) in &refused {
        let problem = registrar.post("/api/v1/licenses", body).problem(422, "UNPROCESSABLE");
        assert_eq!(problem["field"], *field, "{problem}");
    }
    assert_eq!(registrar.world().licenses().count(), 0, "a refused request wrote to the store");
    assert_eq!(registrar.get("/api/v1/licenses").expect(200), json!({ "items": [] }));
}

#[test]
fn null_is_the_same_as_a_field_that_is_not_sent() {
    let registrar = start();
    let body = json!({
        "product": "acme", "plan": "pro", "policy": null, "key": null, "keyPrefix": null, "domains": null, "owner": null,
        "notBefore": null, "versions": null, "features": null, "allowances": null, "metadata": { "note": null },
        "activation": { "per": "machine", "limit": 1, "leaseSeconds": null },
    });
    let licence = registrar.post("/api/v1/licenses", &body).expect(201);
    assert_eq!((&licence["domains"], &licence["features"], &licence["metadata"]), (&json!([]), &json!([]), &json!({})));
    assert_eq!(licence["activation"]["leaseSeconds"], Value::Null);
    assert_eq!(licence.get("owner"), None);
    let policy = json!({ "product": "acme", "name": "Pro", "plan": null, "features": null, "versions": null });
    registrar.post("/api/v1/policies", &policy).expect(201);
    registrar.post("/api/v1/licenses", &json!({ "product": null, "plan": "pro" })).problem(400, "INVALID_REQUEST");
}

#[test]
fn a_record_too_large_for_the_store_is_refused() {
    let registrar = start();
    let domain = |number: usize| format!("{number}.{}example", "a-label-of-a-long-name.".repeat(10));
    let domains: Vec<String> = (0..260).map(domain).collect();
    let licence = issue(&registrar, json!({ "domains": domains }));
    let more: Vec<String> = (260..280).map(domain).collect();
    let problem = registrar.post(&format!("{}/domains", path(&licence)), &json!({ "domains": more }));
    assert_eq!(problem.problem(422, "UNPROCESSABLE")["field"], "domains");
    assert_eq!(registrar.get(&path(&licence)).expect(200)["revision"], 1);
}

#[test]
fn a_batch_is_issued_whole_or_not_at_all() {
    let registrar = start();
    let made = registrar
        .post("/api/v1/licenses/batch", &json!({ "count": 100, "product": "acme", "plan": "pro" }))
        .expect(201);
    assert_eq!(made["propagated"], true);
    let items = made["items"].as_array().unwrap();
    let keys: std::collections::BTreeSet<&str> = items.iter().map(|item| item["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 100);
    for item in &items[..3] {
        assert_eq!(code(&registrar, &item["key"]), "VALID");
    }
    for (body, field) in [
        (json!({ "count": 0, "product": "acme", "plan": "pro" }), "count"),
        (json!({ "count": 101, "product": "acme", "plan": "pro" }), "count"),
        (json!({ "product": "acme", "plan": "pro" }), "count"),
        (json!({ "count": 2, "product": "acme", "plan": "pro", "key": "k" }), "key"),
    ] {
        let problem = registrar.post("/api/v1/licenses/batch", &body).problem(400, "INVALID_REQUEST");
        assert_eq!(problem["field"], field);
    }
}

/// The instance has the memory that the host allows it.
#[test]
fn a_hundred_licences_with_a_thousand_domains_fit_every_answer() {
    let registrar = start();
    let domains: Vec<String> =
        (0..1_000).map(|number| format!("{number:04}.a-name-of-a-customers-shop.of-usual-length.example")).collect();
    let asked = json!({ "count": 10, "product": "acme", "plan": "pro", "domains": domains });
    for _ in 0..10 {
        let made = registrar.post("/api/v1/licenses/batch", &asked).expect(201);
        assert_eq!(made["items"].as_array().unwrap().len(), 10);
    }
    for query in ["limit=100", "limit=100&domain=0999.a-name-of-a-customers-shop.of-usual-length.example"] {
        let page = registrar.get(&format!("/api/v1/licenses?{query}")).expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), 100);
    }
    for format in ["ndjson", "csv"] {
        let page = registrar.get(&format!("/api/v1/licenses/export?format={format}"));
        assert!(page.status == 200 && page.header("link").is_some() && page.bytes.len() < 4 * 1024 * 1024);
    }
    registrar.world().entries.clear();
    let (mut body, mut steps) = (json!({}), 0);
    while let Some(next) = registrar.post("/api/v1/reconcile", &body).expect(200)["next"].as_str() {
        body["cursor"] = next.into();
        steps += 1;
    }
    assert!(steps > 1, "a hundred records of this size take more than one step");
    while registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200)["left"] != 0 {}
    assert_eq!(registrar.world().licenses().count(), 100);
    let other = Registrar::start();
    other.world().entries = registrar.world().entries.clone();
    let (mut body, mut adopted) = (json!({ "adopt": true }), Vec::new());
    loop {
        let report = other.post("/api/v1/reconcile", &body).expect(200);
        adopted.extend(report["adopted"].as_u64());
        match report["next"].as_str() {
            Some(next) => body["cursor"] = next.into(),
            None => break,
        }
    }
    assert_eq!((adopted.iter().sum::<u64>(), adopted.len() > 1), (100, true), "{adopted:?}");
    let events = registrar.get("/api/v1/events?limit=100");
    events.expect(200);
}

#[test]
fn a_patch_changes_only_the_fields_it_names() {
    let registrar = start();
    let licence = issue(
        &registrar,
        json!({ "owner": "jane", "metadata": { "a": "1", "b": "2" }, "features": ["x"], "expiresAt": "2027-01-01T00:00:00Z",
            "domains": ["example.com"], "activation": { "per": "machine", "limit": 2 } }),
    );
    let patch = |body: Value| registrar.patch(&path(&licence), &body);
    let changed = patch(json!({ "owner": null, "metadata": { "a": null, "c": "3" } })).expect(200);
    assert_eq!((changed.get("owner"), &changed["metadata"]), (None, &json!({ "b": "2", "c": "3" })));
    assert_eq!(
        (&changed["revision"], &changed["generation"]),
        (&json!(2), &json!(1)),
        "`owner` and `metadata` are not in the record, so its generation stays"
    );
    let changed = patch(json!({
        "plan": "max", "features": ["x", "y"], "expiresAt": null, "notBefore": "2026-01-01T00:00:00Z", "graceSeconds": 9,
        "expiryStrategy": "allow", "requires": ["product"], "versions": { "below": "3.0.0" }, "maxDomains": 2,
        "activation": { "limit": 5 }, "allowances": [{ "name": "n", "limit": 1 }], "domains": ["example.com", "*.example.org"],
    }));
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["plan"], changed.get("expiresAt"), &changed["graceSeconds"]),
        (&json!("max"), None, &json!(9))
    );
    assert_eq!((&changed["activation"]["limit"], &changed["activation"]["per"]), (&json!(5), &json!("machine")));
    assert_eq!((&changed["revision"], &changed["generation"]), (&json!(3), &json!(2)));
    let asked = json!({ "key": licence["key"], "domain": "a.example.org", "product": "acme", "fingerprint": "m" });
    let verdict = registrar.holder("activate", &asked);
    assert_eq!((&verdict["plan"], &verdict["code"]), (&json!("max"), &json!("VALID")));
    assert_eq!(patch(json!({ "activation": null })).expect(200).get("activation"), None);
    assert_eq!(patch(json!({})).expect(200)["revision"], 4);

    for (body, field) in [
        (json!({ "plan": null }), "plan"),
        (json!({ "status": "revoked" }), "status"),
        (json!({ "expiryBasis": "issue" }), "expiryBasis"),
        (json!({ "product": "other" }), "product"),
        (json!({ "domains": ["com"] }), "domains[0]"),
        (json!({ "features": "x" }), "features"),
        (json!({ "activation": { "match": "some" } }), "activation.match"),
    ] {
        assert_eq!(patch(body).problem(400, "INVALID_REQUEST")["field"], field);
    }
    for (body, field) in [(json!({ "durationSeconds": 5 }), "durationSeconds"), (json!({ "maxDomains": 1 }), "domains")]
    {
        assert_eq!(patch(body).problem(422, "UNPROCESSABLE")["field"], field);
    }
}

#[test]
fn if_match_guards_each_change() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    let ask = |method: &str, target: &str, tag: &str| {
        registrar.request(method, &format!("{}{target}", path(&licence))).header("if-match", tag)
    };
    ask("PATCH", "", "\"2\"").json(&json!({ "owner": "x" })).send().problem(412, "PRECONDITION_FAILED");
    ask("POST", "/suspend", "\"2\"").send().problem(412, "PRECONDITION_FAILED");
    ask("POST", "/rotate-key", "\"2\"").send().problem(412, "PRECONDITION_FAILED");
    ask("DELETE", "", "\"2\"").send().problem(412, "PRECONDITION_FAILED");
    ask("DELETE", "", "2").send().problem(400, "INVALID_REQUEST");
    let suspended = ask("POST", "/suspend", "\"1\"").send();
    assert_eq!(suspended.header("etag"), Some("\"2\""));
    ask("POST", "/resume", "\"1\"").send().problem(412, "PRECONDITION_FAILED");
    ask("DELETE", "", "*").send().expect(204);
}

#[test]
fn a_domain_that_became_a_public_suffix_stays() {
    let registrar = start();
    let licence = issue(&registrar, json!({ "domains": ["example.com"] }));
    // Simulates a record from before `com` was a public suffix.
    let database = registrar.database();
    database.execute("UPDATE licenses SET record = replace(record, 'example.com', 'com')", []).unwrap();
    let patch = |domains: Value| registrar.patch(&path(&licence), &json!({ "domains": domains }));
    assert_eq!(patch(json!(["com", "example.org"])).expect(200)["domains"], json!(["com", "example.org"]));
    patch(json!(["com", "net"])).problem(400, "INVALID_REQUEST");
}

#[test]
fn one_request_writes_a_bounded_number_of_bytes() {
    let registrar = start();
    let domains: Vec<_> = (0..1_000).map(|number| format!("shop-number-{number}.example.com")).collect();
    let batch = |count: u32| json!({ "count": count, "product": "acme", "plan": "pro", "domains": domains });
    let before = registrar.get("/api/v1/events").expect(200)["head"].clone();
    let refused = registrar.post("/api/v1/licenses/batch", &batch(100)).problem(422, "CHANGE_TOO_LARGE");
    assert!(refused["detail"].as_str().unwrap().contains("one request may write 4194304"), "{refused}");
    assert_eq!(registrar.get("/api/v1/events").expect(200)["head"], before);
    registrar.post("/api/v1/licenses/batch", &batch(20)).expect(201);
    // The same by lines, whose terms are the policy's.
    let names: Vec<_> = (0..64).map(|number| format!("feature-{number}-{}", "x".repeat(50))).collect();
    let policy = super::policy(&registrar, json!({ "plan": "pro", "features": names }));
    let line = format!("{}\n", json!({ "policy": policy["id"] }));
    let import = |lines: usize| {
        let import = registrar.request("POST", "/api/v1/licenses/import");
        import.body("application/x-ndjson", line.repeat(lines).as_bytes()).send()
    };
    import(500).problem(422, "CHANGE_TOO_LARGE");
    assert_eq!(import(200).expect(200)["imported"], 200);
}

/// Everywhere alike: when it is issued, patched, renewed and imported.
#[test]
fn an_end_on_a_date_includes_its_day() {
    let registrar = start();
    let ends = [
        ("2027-01-31", "2027-02-01T00:00:00Z"),
        ("2028-02-29Z", "2028-03-01T00:00:00Z"),
        ("2029-12-31+02:00", "2029-12-31T22:00:00Z"),
        ("2030-06-01T12:00:00+02:00", "2030-06-01T10:00:00Z"),
    ];
    for (given, end) in ends {
        let issued = issue(&registrar, json!({ "expiresAt": given, "notBefore": "2026-01-01+02:00" }));
        assert_eq!((&issued["expiresAt"], &issued["notBefore"]), (&json!(end), &json!("2025-12-31T22:00:00Z")));
        let path = path(&issue(&registrar, json!({ "expiresAt": "2026-12-01" })));
        assert_eq!(registrar.patch(&path, &json!({ "expiresAt": given })).expect(200)["expiresAt"], end);
        let path = self::path(&issue(&registrar, json!({ "expiresAt": "2026-12-01" })));
        let renewed = registrar.post(&format!("{path}/renew"), &json!({ "expiresAt": given })).expect(200);
        assert_eq!(renewed["expiresAt"], end);
        let csv = format!("product,plan,expiresAt\nacme,pro,{given}\n");
        let import = registrar.request("POST", "/api/v1/licenses/import").body("text/csv", csv.as_bytes()).send();
        let imported = registrar.get(&self::path(&import.expect(200)["results"][0])).expect(200);
        assert_eq!(imported["expiresAt"], end);
        let token = json!({ "name": "ci", "role": "reader", "expiresAt": given });
        assert_eq!(registrar.post("/api/v1/tokens", &token).expect(201)["expiresAt"], end);
    }
    for given in ["2027-02-29", "2027-1-1", "31.01.2027", "2027-01-31+25:00", "tomorrow"] {
        let refused = json!({ "product": "acme", "plan": "pro", "expiresAt": given });
        assert_eq!(registrar.post("/api/v1/licenses", &refused).problem(400, "INVALID_REQUEST")["field"], "expiresAt");
    }
}

#[test]
fn features_replace_those_of_the_policy_or_are_added_to_them() {
    let registrar = start();
    let policy = super::policy(&registrar, json!({ "plan": "pro", "features": ["export", "sync"] }));
    let issue = |fields: Value| {
        let mut licence = json!({ "policy": policy["id"] });
        licence.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        registrar.post("/api/v1/licenses", &licence)
    };
    assert_eq!(issue(json!({ "features": ["beta"] })).expect(201)["features"], json!(["beta"]));
    let added = issue(json!({ "addFeatures": ["beta", "sync"] })).expect(201);
    assert_eq!(added["features"], json!(["export", "sync", "beta"]));
    assert_eq!(issue(json!({ "addFeatures": [] })).expect(201)["features"], json!(["export", "sync"]));
    let both = issue(json!({ "features": ["a"], "addFeatures": ["b"] })).problem(400, "INVALID_REQUEST");
    assert_eq!(both["field"], "addFeatures");
    let malformed = issue(json!({ "addFeatures": ["a", ""] })).problem(400, "INVALID_REQUEST");
    assert_eq!(malformed["field"], "addFeatures[1]");
    let many: Vec<_> = (0..63).map(|number| format!("f{number}")).collect();
    assert_eq!(issue(json!({ "addFeatures": many })).problem(422, "UNPROCESSABLE")["field"], "features");
    let csv = format!("policy,addFeatures\n{},beta;gamma\n", policy["id"].as_str().unwrap());
    let import = registrar.request("POST", "/api/v1/licenses/import").body("text/csv", csv.as_bytes()).send();
    let imported = registrar.get(&path(&import.expect(200)["results"][0])).expect(200);
    assert_eq!(imported["features"], json!(["export", "sync", "beta", "gamma"]));
}

#[test]
fn a_licence_is_for_the_users_that_its_vendor_names() {
    let registrar = start();
    let licence = issue(&registrar, json!({ "users": ["ada", "bob@users.example"] }));
    let code =
        |user: &str| registrar.holder("validate", &json!({ "key": licence["key"], "user": user }))["code"].clone();
    assert_eq!((code("ada"), code("eve")), (json!("VALID"), json!("USER_MISMATCH")));
    registrar.patch(&path(&licence), &json!({ "users": ["eve"] })).expect(200);
    assert_eq!((code("ada"), code("eve")), (json!("USER_MISMATCH"), json!("VALID")));
    // Each side may leave a line end or a space.
    assert_eq!(registrar.patch(&path(&licence), &json!({ "users": ["ada\r\n"] })).expect(200)["users"], json!(["ada"]));
    assert_eq!((code("ada"), code("ada "), code("eve")), (json!("VALID"), json!("VALID"), json!("USER_MISMATCH")));
    registrar.patch(&path(&licence), &json!({ "users": null })).expect(200);
    assert_eq!((code("ada"), code("eve")), (json!("VALID"), json!("VALID")));
    for (users, field) in [
        (json!(["ada", "ada"]), "users"),
        (json!(["ada", ""]), "users[1]"),
        (json!(["ada", " "]), "users[1]"),
        (json!("ada"), "users"),
    ] {
        let refused = registrar.patch(&path(&licence), &json!({ "users": users })).problem(400, "INVALID_REQUEST");
        assert_eq!(refused["field"], field);
    }
}

#[test]
fn names_that_take_no_seat_are_the_vendors_to_list() {
    let registrar = start();
    let seats = json!({ "per": "domain", "limit": 1, "ignoreWww": true });
    let names = json!(["localhost", "*.test", "staging.*"]);
    let licence = issue(&registrar, json!({ "activation": seats, "uncountedDomains": names }));
    assert_eq!(licence["uncountedDomains"], names);
    let code = |domain: &str| {
        registrar.holder("activate", &json!({ "key": licence["key"], "domain": domain }))["code"].clone()
    };
    for domain in ["localhost", "shop.test", "staging.example.com", "example.com", "www.example.com"] {
        assert_eq!(code(domain), "VALID", "{domain}");
    }
    assert_eq!(code("example.org"), "TOO_MANY_ACTIVATIONS");
    let refused = registrar.patch(&path(&licence), &json!({ "uncountedDomains": ["a.staging.*"] }));
    assert_eq!(refused.problem(400, "INVALID_REQUEST")["field"], "uncountedDomains[0]");
}
