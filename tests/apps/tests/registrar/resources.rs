//! Products and policies: their fields, their pages, and what is refused.

use serde_json::{Value, json};

use countersign_app_tests::Registrar;

const CREATED: &str = "2026-11-22T10:00:00Z";

#[test]
fn a_product_can_be_created_read_changed_and_deleted() {
    let registrar = Registrar::start();
    let made = registrar.post("/api/v1/products", &json!({ "code": "acme-editor" }));
    assert_eq!((made.header("location"), made.header("etag")), (Some("/api/v1/products/acme-editor"), Some("\"1\"")));
    let expected = json!({
        "code": "acme-editor", "keyPrefix": "ACMEEDIT", "metadata": {}, "createdAt": CREATED, "updatedAt": CREATED, "revision": 1,
    });
    assert_eq!(made.expect(201), expected);
    assert_eq!(registrar.get("/api/v1/products/acme-editor").expect(200), expected);
    registrar.post("/api/v1/products", &json!({ "code": "acme-editor" })).problem(409, "CONFLICT");

    registrar.advance(1);
    let patch = json!({ "name": "Acme Editor", "keyPrefix": "ACME", "metadata": { "a": "1", "b": "2" } });
    let expected = json!({
        "code": "acme-editor", "name": "Acme Editor", "keyPrefix": "ACME", "metadata": { "a": "1", "b": "2" },
        "createdAt": CREATED, "updatedAt": "2026-11-22T10:00:01Z", "revision": 2,
    });
    assert_eq!(registrar.patch("/api/v1/products/acme-editor", &patch).expect(200), expected);
    let asking = registrar.request("PATCH", "/api/v1/products/acme-editor");
    let patch = br#"{"name":null,"metadata":{"a":null,"c":"3"}}"#;
    let changed = asking.body("application/merge-patch+json", patch).send();
    assert_eq!(changed.header("etag"), Some("\"3\""));
    let changed = changed.expect(200);
    assert_eq!(changed["metadata"], json!({ "b": "2", "c": "3" }));
    assert!(changed.get("name").is_none());
    assert_eq!(registrar.get("/api/v1/products/acme-editor").expect(200), changed);

    registrar.delete("/api/v1/products/acme-editor").expect(204);
    registrar.delete("/api/v1/products/acme-editor").problem(404, "NOT_FOUND");
    registrar.get("/api/v1/products/acme-editor").problem(404, "NOT_FOUND");
    registrar.get("/api/v1/products/%ff").problem(400, "INVALID_REQUEST");
}

#[test]
fn a_refusal_names_the_field() {
    let registrar = Registrar::start();
    let many: Value = (0..33).map(|number| (number.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let cases = [
        (json!({}), "code"),
        (json!({ "code": 7 }), "code"),
        (json!({ "code": "Acme" }), "code"),
        (json!({ "code": "" }), "code"),
        (json!({ "code": "x".repeat(65) }), "code"),
        (json!({ "code": "a", "name": "" }), "name"),
        (json!({ "code": "a", "name": "x".repeat(257) }), "name"),
        (json!({ "code": "a", "name": "a\u{7}" }), "name"),
        (json!({ "code": "a", "keyPrefix": "acme" }), "keyPrefix"),
        (json!({ "code": "a", "metadata": [] }), "metadata"),
        (json!({ "code": "a", "metadata": { "a b": "x" } }), "metadata"),
        (json!({ "code": "a", "metadata": { "": "x" } }), "metadata"),
        (json!({ "code": "a", "metadata": { "a": 1 } }), "metadata.a"),
        (json!({ "code": "a", "metadata": { "a": "x".repeat(513) } }), "metadata.a"),
        (json!({ "code": "a", "metadata": many }), "metadata"),
        (json!({ "code": "a", "createdAt": CREATED }), "createdAt"),
        (json!({ "code": "a", "ACME-00000-00000-00000-00000-00000-00000": 1 }), ""),
    ];
    for (body, field) in cases {
        let problem = registrar.post("/api/v1/products", &body).problem(400, "INVALID_REQUEST");
        assert_eq!(problem["field"].as_str().unwrap_or(""), field, "{body}");
        assert!(!problem.to_string().contains("00000"));
    }
    registrar.post("/api/v1/products", &json!({ "code": "acme", "name": "x".repeat(256) })).expect(201);
    let patch =
        |body: Value| registrar.patch("/api/v1/products/acme", &body).problem(400, "INVALID_REQUEST")["field"].clone();
    assert_eq!(patch(json!({ "code": "other" })), "code");
    assert_eq!(patch(json!({ "revision": 2 })), "revision");
    assert_eq!(registrar.get("/api/v1/events").expect(200)["head"]["number"], 1);
}

#[test]
fn a_policy_is_a_template_of_one_product() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let body = json!({ "product": "acme", "name": "Pro, yearly", "plan": "pro", "durationSeconds": 31_536_000, "features": ["export"] });
    let made = registrar.post("/api/v1/policies", &body);
    let location = made.header("location").unwrap().to_owned();
    let made = made.expect(201);
    assert_eq!(location, format!("/api/v1/policies/{}", made["id"].as_str().unwrap()));
    assert!(location.starts_with("/api/v1/policies/pol_") && location.len() == 17 + 4 + 26);
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&made[name], value);
    }
    assert_eq!(registrar.get(&location).expect(200), made);
    registrar.delete("/api/v1/products/acme").problem(409, "CONFLICT");

    let changed =
        registrar.patch(&location, &json!({ "durationSeconds": null, "maxDomains": 5, "name": "Pro" })).expect(200);
    assert!(changed.get("durationSeconds").is_none());
    assert_eq!((&changed["maxDomains"], &changed["name"], &changed["revision"]), (&json!(5), &json!("Pro"), &json!(2)));
    for (patch, field) in [
        (json!({ "name": null }), "name"),
        (json!({ "product": "other" }), "product"),
        (json!({ "graceSeconds": -1 }), "graceSeconds"),
        (json!({ "requires": ["everything"] }), "requires[0]"),
        (json!({ "activation": { "per": "machine", "limit": 0 } }), "activation.limit"),
        (json!({ "allowances": [{ "name": "exports", "limit": 1, "period": "fortnight" }] }), "allowances[0].period"),
    ] {
        assert_eq!(registrar.patch(&location, &patch).problem(400, "INVALID_REQUEST")["field"], field);
    }
    registrar.patch(&location, &json!({ "expiryBasis": "first-validation" })).problem(422, "UNPROCESSABLE");
    let elsewhere = json!({ "product": "none", "name": "Pro" });
    assert_eq!(registrar.post("/api/v1/policies", &elsewhere).problem(422, "UNPROCESSABLE")["field"], "product");

    registrar.delete(&location).expect(204);
    registrar.get(&location).problem(404, "NOT_FOUND");
    registrar.delete("/api/v1/products/acme").expect(204);
}

#[test]
fn a_policy_id_can_be_given_once() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let id = "pol_0123456789abcdefghjkmnpqrs";
    let body = |id: Value| json!({ "product": "acme", "name": "Pro", "plan": "pro", "id": id });
    for malformed in [
        json!(""),
        json!("pol_"),
        json!("lic_0123456789abcdefghjkmnpqrs"),
        json!("pol_0123456789abcdefghjkmnpqr"),
        json!("pol_0123456789abcdefghjkmnpqrst"),
        json!("pol_0123456789ABCDEFGHJKMNPQRS"),
        json!("pol_0123456789abcdefghijklmnop"),
        json!(7),
    ] {
        assert_eq!(registrar.post("/api/v1/policies", &body(malformed)).problem(400, "INVALID_REQUEST")["field"], "id");
    }
    let made = registrar.post("/api/v1/policies", &body(json!(id)));
    assert_eq!(made.header("location"), Some(&*format!("/api/v1/policies/{id}")));
    assert_eq!(made.expect(201)["id"], id);
    let other = json!({ "product": "acme", "name": "Other", "id": id });
    registrar.post("/api/v1/policies", &other).problem(409, "CONFLICT");
    assert_eq!(registrar.get(&format!("/api/v1/policies/{id}")).expect(200)["name"], "Pro");
    registrar.patch(&format!("/api/v1/policies/{id}"), &other).problem(400, "INVALID_REQUEST");
    let issued = registrar.post("/api/v1/licenses", &json!({ "policy": id })).expect(201);
    assert_eq!((&issued["policy"], &issued["plan"]), (&json!(id), &json!("pro")));
}

#[test]
fn a_list_pages_in_the_order_of_creation() {
    let registrar = Registrar::start();
    let codes: Vec<_> = (0..23).map(|number| format!("p{}", (number * 7) % 23)).collect();
    for code in &codes {
        registrar.post("/api/v1/products", &json!({ "code": code })).expect(201);
    }
    let page = |query: &str| {
        let page = registrar.get(&format!("/api/v1/products{query}")).expect(200);
        let found = page["items"].as_array().unwrap().iter().map(|item| item["code"].as_str().unwrap().to_owned());
        (found.collect::<Vec<_>>(), page["next"].as_str().map(str::to_owned))
    };
    let (first, next) = page("");
    let (rest, end) = page(&format!("?cursor={}", next.unwrap()));
    assert_eq!((first.len(), end), (20, None));
    assert_eq!([first, rest].concat(), codes);
    let (mut found, mut query) = (Vec::new(), "?limit=5".to_owned());
    loop {
        let (items, next) = page(&query);
        found.extend(items);
        let Some(next) = next else { break };
        query = format!("?limit=5&cursor={next}");
        // A deletion meanwhile does not shift the next page.
        if found.len() == 10 {
            registrar.delete(&format!("/api/v1/products/{}", codes[3])).expect(204);
            registrar.delete(&format!("/api/v1/products/{}", codes[9])).expect(204);
        }
    }
    assert_eq!(found, codes);
    assert_eq!(page("?limit=21").1, None);
}

#[test]
fn what_is_created_under_an_old_name_has_no_old_rights() {
    let registrar = Registrar::start();
    let product = || registrar.post("/api/v1/products", &json!({ "code": "delta" }));
    let old = product();
    let old_etag = old.header("etag").unwrap().to_owned();
    old.expect(201);
    let token = |fields: Value| {
        let mut token = json!({ "name": "shop", "role": "issuer", "products": ["delta"] });
        token.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        registrar.post("/api/v1/tokens", &token).expect(201)
    };
    let (valid, ending) = (token(json!({})), token(json!({ "expiresAt": "2026-11-22T11:00:00Z" })));
    let refused = registrar.delete("/api/v1/products/delta").problem(409, "CONFLICT");
    assert_eq!(refused["detail"], "Tokens are still bound to this product; revoke them first.");
    registrar.delete(&format!("/api/v1/tokens/{}", valid["id"].as_str().unwrap())).expect(204);
    registrar.delete("/api/v1/products/delta").problem(409, "CONFLICT");
    registrar.advance(3_600);
    registrar.delete("/api/v1/products/delta").expect(204);

    product().expect(201);
    for token in [&valid, &ending] {
        let issue = registrar.request("POST", "/api/v1/licenses").token(token["token"].as_str().unwrap());
        issue.json(&json!({ "product": "delta", "plan": "pro" })).send().problem(401, "UNAUTHENTICATED");
    }
    // The revision goes on, so that a condition on the old product does not hold for the new one.
    let change = registrar.request("PATCH", "/api/v1/products/delta").header("if-match", &old_etag);
    change.json(&json!({ "name": "Delta" })).send().problem(412, "PRECONDITION_FAILED");

    let policy = json!({ "id": format!("pol_{}", "0".repeat(26)), "product": "delta", "name": "pro", "plan": "pro" });
    let old = registrar.post("/api/v1/policies", &policy);
    let (at, old_etag) = (old.header("location").unwrap().to_owned(), old.header("etag").unwrap().to_owned());
    registrar.delete(&at).expect(204);
    registrar.post("/api/v1/policies", &policy).expect(201);
    registrar.request("DELETE", &at).header("if-match", &old_etag).send().problem(412, "PRECONDITION_FAILED");
}

#[test]
fn a_product_is_not_created_while_an_older_token_names_it() {
    let registrar = Registrar::start();
    let product = || registrar.post("/api/v1/products", &json!({ "code": "delta" }));
    product().expect(201);
    let token = json!({ "name": "shop", "role": "issuer", "products": ["delta"] });
    let token = registrar.post("/api/v1/tokens", &token).expect(201);
    // As a version did that deleted products whose tokens were valid.
    registrar.database().execute("DELETE FROM products", []).unwrap();
    product().problem(409, "CONFLICT");
    registrar.delete(&format!("/api/v1/tokens/{}", token["id"].as_str().unwrap())).expect(204);
    product().expect(201);
}
