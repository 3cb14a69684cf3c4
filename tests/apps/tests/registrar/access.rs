//! Tokens and roles.

use countersign_host::bindings::service::Body;
use serde_json::{Value, json};

use countersign_app_tests::{Answer, BEGIN, OPERATOR, Registrar};

#[test]
fn unknown_paths_are_404_and_other_methods_405() {
    let registrar = Registrar::start();
    for path in
        ["/", "/api/v1", "/api/v1/", "/api/v1/product", "/api/v1/products//", "/api/v1/products/a/b", "/api/v1/audits"]
    {
        registrar.get(path).problem(404, "NO_SUCH_PATH");
    }
    for (method, path, allow) in [
        ("PUT", "/api/v1/products", "GET, HEAD, POST"),
        ("POST", "/api/v1/products/acme", "GET, HEAD, PATCH, DELETE"),
        ("OPTIONS", "/api/v1/tokens", "GET, HEAD, POST"),
        ("HEAD", "/api/v1/licenses/lookup", "POST"),
        ("POST", "/openapi.json", "GET, HEAD"),
    ] {
        let answer = registrar.request(method, path).send();
        assert_eq!(answer.header("allow"), Some(allow));
        answer.problem(405, "METHOD_NOT_ALLOWED");
    }
    for path in ["/api/v1/products", "/api/v1/products/", "//api/v1/products", "/openapi.json/"] {
        let answer = registrar.get(path);
        assert_eq!(answer.status, 200, "{path}");
        // The host leaves the body out.
        assert_eq!(registrar.request("HEAD", path).send().bytes, answer.bytes, "{path}");
    }
    registrar.anonymous("HEAD", "/api/v1/products").send().problem(401, "UNAUTHENTICATED");
    let document = registrar.anonymous("GET", "/openapi.json").send();
    assert!(document.expect(200)["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
}

#[test]
fn a_token_ends_when_it_expires_or_is_revoked() {
    let registrar = Registrar::start();
    let ends = "2026-11-22T11:00:00Z";
    let made = registrar.post("/api/v1/tokens", &json!({ "name": "shop", "role": "reader", "expiresAt": ends }));
    assert_eq!(made.header("etag"), Some("\"1\""));
    let made = made.expect(201);
    let token = made["token"].as_str().unwrap();
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(token.len(), 63);
    assert!(token.starts_with("cst_") && path.ends_with(&token[4..30]));
    let ask = |token: &str| registrar.anonymous("GET", "/api/v1/products").token(token).send();

    ask(token).expect(200);
    registrar.advance(3_599);
    ask(token).expect(200);
    registrar.advance(1);
    ask(token).problem(401, "UNAUTHENTICATED");

    let lasting = registrar.token("admin");
    let shown = registrar.get("/api/v1/tokens").expect(200);
    let lasting_path = format!("/api/v1/tokens/{}", shown["items"][1]["id"].as_str().unwrap());
    ask(&lasting).expect(200);
    // A token with another last character, and one without it.
    let (begin, last) = lasting.split_at(62);
    ask(&format!("{begin}{}", if last == "0" { "1" } else { "0" })).problem(401, "UNAUTHENTICATED");
    ask(begin).problem(401, "UNAUTHENTICATED");
    for _ in 0..2 {
        registrar.delete(&lasting_path).expect(204);
        ask(&lasting).problem(401, "UNAUTHENTICATED");
    }
    let revoked = registrar.get(&lasting_path).expect(200);
    assert_eq!(revoked["revokedAt"], "2026-11-22T11:00:00Z");
    assert!(revoked.get("token").is_none() && revoked.get("hash").is_none());
    registrar
        .post("/api/v1/tokens", &json!({ "name": "late", "role": "reader", "expiresAt": ends }))
        .problem(422, "UNPROCESSABLE");
}

#[test]
fn the_last_use_of_a_token_is_noted_once_a_minute() {
    let registrar = Registrar::start();
    let token = registrar.token("reader");
    let used = || registrar.get("/api/v1/tokens").expect(200)["items"][0]["lastUsedAt"].clone();
    let ask = || registrar.anonymous("GET", "/api/v1/products").token(&token).send().expect(200);
    assert_eq!(used(), Value::Null);
    ask();
    assert_eq!(used(), "2026-11-22T10:00:00Z");
    registrar.advance(59);
    ask();
    assert_eq!(used(), "2026-11-22T10:00:00Z");
    registrar.advance(1);
    ask();
    assert_eq!(used(), "2026-11-22T10:01:00Z");
}

#[test]
fn the_operator_and_the_host_have_tokens_of_their_own() {
    let registrar = Registrar::start();
    let host = "another token, which the host made up for itself";
    registrar.world().settings.insert("host_token".into(), host.into());
    let code = |code: &str| json!({ "code": code });
    registrar.post("/api/v1/products", &code("one")).expect(201);
    registrar.request("POST", "/api/v1/products").json(&code("two")).token(host).send().expect(201);
    let events = registrar.get("/api/v1/events").expect(200);
    assert_eq!([&events["items"][0]["actor"], &events["items"][1]["actor"]], ["operator", "host"]);
}

#[test]
fn a_weak_setting_is_not_taken_and_the_journal_says_why() {
    let short = "31 bytes, which is one too few.";
    assert_eq!(short.len(), 31);
    for (weak, why) in [
        ("short", "32 bytes"),
        (short, "32 bytes"),
        ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "repeats"),
        ("abcabcabcabcabcabcabcabcabcabcabc", "repeats"),
        ("                                ", "white space"),
        ("0123456789abcdef0123456789abcdef ", "white space"),
    ] {
        let registrar = Registrar::start();
        registrar.world().settings.insert("admin_token".into(), weak.into());
        let ask = |token: &str| registrar.anonymous("GET", "/api/v1/products").token(token).send();
        ask(weak).problem(401, "UNAUTHENTICATED");
        ask(OPERATOR).problem(401, "UNAUTHENTICATED");
        let lines = registrar.world().journal();
        let said: Vec<_> = lines.iter().filter(|line| line.contains(r#""event":"weak-setting""#)).collect();
        assert!(
            !said.is_empty() && said.iter().all(|line| line.contains("`admin_token`") && line.contains(why)),
            "{lines:?}"
        );
        assert!(!said.iter().any(|line| line.contains(weak.trim()) && !weak.trim().is_empty()), "{said:?}");
    }
}

#[test]
fn the_journal_names_the_address_of_who_is_refused_and_of_nobody_else() {
    let registrar = Registrar::start();
    let asked = |token: &str, client: Option<&str>| {
        let status = ask_from(&registrar, token, client).status;
        let line = registrar.world().journal().pop().unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        (status, line["client"].clone())
    };
    let right = registrar.token("reader");
    assert_eq!(asked(&right, Some("192.0.2.1")), (200, Value::Null));
    assert_eq!(asked(WRONG, Some("192.0.2.1")), (401, "192.0.2.1".into()));
    assert_eq!(asked(WRONG, Some("2001:db8:1:2:3:4:5:6")), (401, "2001:db8:1:2::/64".into()));
    assert_eq!(asked(WRONG, None), (401, Value::Null));
    for _ in 0..10 {
        asked(WRONG, Some("192.0.2.1"));
    }
    assert_eq!(asked(WRONG, Some("192.0.2.1")), (429, "192.0.2.1".into()));
    let product = registrar.anonymous("POST", "/api/v1/products").token(&right).client(Some("192.0.2.1"));
    product.json(&json!({ "code": "acme" })).send().problem(403, "FORBIDDEN");
    assert!(!registrar.world().journal().pop().unwrap().contains("192.0.2"), "who is known is not named by address");
}

#[test]
fn a_token_is_bound_to_its_products() {
    let registrar = Registrar::start();
    for code in ["mine", "other"] {
        registrar.post("/api/v1/products", &json!({ "code": code })).expect(201);
    }
    let policy = |product: &str| json!({ "product": product, "name": "pro", "plan": "pro" });
    let other = registrar.post("/api/v1/policies", &policy("other")).expect(201);
    let bound = |role: &str| {
        let made = registrar.post("/api/v1/tokens", &json!({ "name": "bound", "role": role, "products": ["mine"] }));
        made.expect(201)["token"].as_str().unwrap().to_owned()
    };
    let (reader, admin) = (bound("reader"), bound("admin"));
    let ask =
        |method: &str, target: &str, body: &Value| registrar.request(method, target).token(&admin).json(body).send();

    let seen = registrar.request("GET", "/api/v1/products").token(&reader).send().expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    assert_eq!(seen["items"][0]["code"], "mine");
    assert_eq!(registrar.request("GET", "/api/v1/policies").token(&reader).send().expect(200)["items"], json!([]));
    for path in ["/api/v1/events", "/api/v1/stats"] {
        registrar.request("GET", path).token(&reader).send().problem(403, "FORBIDDEN");
    }
    let other = format!("/api/v1/policies/{}", other["id"].as_str().unwrap());
    for (method, path) in [
        ("GET", other.as_str()),
        ("PATCH", &other),
        ("GET", "/api/v1/products/other"),
        ("PATCH", "/api/v1/products/other"),
    ] {
        ask(method, path, &json!({ "name": "mine" })).problem(404, "NOT_FOUND");
    }
    for path in [other.as_str(), "/api/v1/products/other"] {
        registrar.request("DELETE", path).token(&admin).send().problem(404, "NOT_FOUND");
    }
    ask("POST", "/api/v1/policies", &policy("other")).problem(403, "FORBIDDEN");
    ask("POST", "/api/v1/policies", &policy("mine")).expect(201);
    // A bound token cannot create anything outside its products.
    ask("POST", "/api/v1/tokens", &json!({ "name": "all", "role": "admin" })).problem(403, "FORBIDDEN");
    ask("POST", "/api/v1/products", &json!({ "code": "third" })).problem(403, "FORBIDDEN");
    registrar.request("GET", "/api/v1/tokens").token(&admin).send().problem(403, "FORBIDDEN");
    registrar
        .post("/api/v1/tokens", &json!({ "name": "x", "role": "reader", "products": ["none"] }))
        .problem(422, "UNPROCESSABLE");
    registrar
        .post("/api/v1/tokens", &json!({ "name": "x", "role": "reader", "products": [] }))
        .problem(400, "INVALID_REQUEST");
}

#[test]
fn a_role_that_may_not_see_tokens_does_not_see_their_events() {
    let registrar = Registrar::start();
    registrar.issue();
    let [reader, support, issuer, admin] = ["reader", "support", "issuer", "admin"].map(|role| registrar.token(role));
    let events = |token: &str, query: &str| {
        registrar.anonymous("GET", &format!("/api/v1/events?limit=100{query}")).token(token).send()
    };
    for token in [&reader, &support, &issuer] {
        for query in ["", "&actor=operator", "&since=2026-01-01T00:00:00Z"] {
            let seen = events(token, query).expect(200);
            let actions = seen["items"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap());
            assert_eq!(actions.collect::<Vec<_>>(), ["product.created", "license.created"], "{query}");
        }
        let id = format!("tok_{}", &admin[4..30]);
        assert_eq!(events(token, &format!("&subject={id}")).expect(200)["items"], json!([]));
        events(token, "&action=token.created").problem(403, "FORBIDDEN");
    }
    assert_eq!(events(&admin, "&action=token.created").expect(200)["items"].as_array().unwrap().len(), 4);
}

const WRONG: &str = "cst_00000000000000000000000000_00000000000000000000000000000000";

/// Asks with a token from an address.
fn ask_from(registrar: &Registrar, token: &str, client: Option<&str>) -> Answer {
    registrar.anonymous("GET", "/api/v1/products").token(token).client(client).send()
}

#[test]
fn an_address_that_sends_wrong_tokens_must_wait() {
    let registrar = Registrar::start();
    let guess = |client: &str| ask_from(&registrar, WRONG, Some(client));
    let waits = |client: &str| guess(client).header("retry-after").map(str::to_owned);
    let address = "2001:db8:1:2::1";
    for _ in 0..9 {
        guess(address).problem(401, "UNAUTHENTICATED");
    }
    // A request without a token does not count as a guess.
    for _ in 0..20 {
        registrar.anonymous("GET", "/api/v1/products").client(Some(address)).send().problem(401, "UNAUTHENTICATED");
    }
    guess(address).problem(401, "UNAUTHENTICATED");
    guess(address).problem(429, "TOO_MANY_FAILURES");
    assert_eq!(waits(address).as_deref(), Some("1"));
    // A /64 network belongs to one customer, so all its addresses wait; no others do.
    assert_eq!(waits("2001:db8:1:2:ffff::2").as_deref(), Some("1"));
    for other in ["2001:db8:1:3::1", "192.0.2.1"] {
        guess(other).problem(401, "UNAUTHENTICATED");
    }
    for expected in ["2", "4", "8", "16", "32", "60", "60"] {
        registrar.advance(60);
        guess(address).problem(401, "UNAUTHENTICATED");
        assert_eq!(waits(address).as_deref(), Some(expected));
    }
    registrar.advance(59);
    assert_eq!(waits(address).as_deref(), Some("1"));
    // After 15 minutes the count starts again.
    registrar.advance(901);
    for _ in 0..10 {
        guess(address).problem(401, "UNAUTHENTICATED");
    }
    guess(address).problem(429, "TOO_MANY_FAILURES");
    // Callers without an address cannot be told apart, so none of them waits.
    for _ in 0..30 {
        ask_from(&registrar, WRONG, None).problem(401, "UNAUTHENTICATED");
    }
}

#[test]
fn a_right_token_is_let_in_whoever_shares_its_address() {
    let registrar = Registrar::start();
    let host = "another token, which the host made up for itself";
    registrar.world().settings.insert("host_token".into(), host.into());
    let generated = registrar.token("reader");
    let address = Some("192.0.2.7");
    for _ in 0..30 {
        for right in [OPERATOR, host, &generated] {
            ask_from(&registrar, right, address).expect(200);
        }
        // Two guesses a second, as often as the address may.
        for guess in [WRONG, "a guess at the operator's token, and a wrong one"] {
            let answer = ask_from(&registrar, guess, address);
            assert!([401, 429].contains(&answer.status), "{answer:?}");
        }
        registrar.advance(1);
    }
    let guess = ask_from(&registrar, &OPERATOR[1..], address);
    guess.problem(429, "TOO_MANY_FAILURES");
    ask_from(&registrar, OPERATOR, address).expect(200);
}

#[test]
fn the_memory_of_wrong_tokens_is_bounded() {
    let registrar = Registrar::start();
    ask_from(&registrar, WRONG, Some("192.0.2.1")).problem(401, "UNAUTHENTICATED");
    let database = registrar.database();
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
        INSERT INTO refusals SELECT 'address ' || i, 20, ?1 FROM n";
    database.execute(fill, [BEGIN - 60]).unwrap();
    for number in 0..8 {
        ask_from(&registrar, WRONG, Some(&format!("198.51.100.{number}"))).problem(401, "UNAUTHENTICATED");
        let count: i64 = database.query_row("SELECT COUNT(*) FROM refusals", [], |row| row.get(0)).unwrap();
        assert!(count <= 10_000, "{count}");
    }
    let kept = "SELECT COUNT(*) FROM refusals WHERE client LIKE '192.%' OR client LIKE '198.%'";
    assert_eq!(database.query_row(kept, [], |row| row.get::<_, i64>(0)).unwrap(), 9, "the latest are remembered");
}

#[test]
fn malformed_credentials_are_refused() {
    let registrar = Registrar::start();
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        &format!("Basic {OPERATOR}"),
        OPERATOR,
        &format!("Bearer {}", "x".repeat(600)),
    ] {
        registrar
            .anonymous("GET", "/api/v1/products")
            .header("authorization", value)
            .send()
            .problem(401, "UNAUTHENTICATED");
    }
    registrar
        .anonymous("GET", "/api/v1/products")
        .header("authorization", &format!("bearer {OPERATOR}"))
        .send()
        .expect(200);
    let twice = registrar.request("GET", "/api/v1/products").header("authorization", &format!("Bearer {OPERATOR}"));
    twice.send().problem(400, "INVALID_REQUEST");
}

#[test]
fn an_answer_carries_the_id_of_its_request() {
    let registrar = Registrar::start();
    let ask = |id: &str| registrar.request("GET", "/api/v1/products").header("x-request-id", id).send();
    assert_eq!(ask("order-17").header("x-request-id"), Some("order-17"));
    for refused in ["", "two words", &"x".repeat(129), "ä"] {
        let answer = ask(refused);
        let generated = answer.header("x-request-id").unwrap();
        assert!(generated.starts_with("req_") && generated.len() == 30, "{generated}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let refused = registrar.anonymous("GET", "/api/v1/nothing").header("x-request-id", "n").send();
    assert_eq!(refused.header("x-request-id"), Some("n"));
    let made = registrar
        .request("POST", "/api/v1/products")
        .header("x-request-id", "made-by-me")
        .json(&json!({ "code": "acme" }));
    made.send().expect(201);
    let event = registrar.get("/api/v1/events").expect(200)["items"][0].clone();
    assert_eq!((&event["requestId"], &event["at"]), (&json!("made-by-me"), &json!("2026-11-22T10:00:00Z")));
    assert_eq!(registrar.world().now, BEGIN);
}

#[test]
fn the_journal_has_a_line_for_each_request_and_no_token() {
    let registrar = Registrar::start();
    let token = registrar.token("admin");
    let wrong = format!("cst_{}_{}", "0".repeat(26), "0".repeat(32));
    registrar.world().events.clear();
    registrar
        .request("GET", "/api/v1/products/secret-code?limit=1")
        .token(&token)
        .header("x-request-id", "mine")
        .send();
    registrar.request("GET", "/api/v1/products").token(&wrong).send();
    registrar.request("GET", "/nothing/of/the/kind").token(OPERATOR).send();
    let events: Vec<Value> =
        registrar.world().journal().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |event: &Value| json!([event["event"], event["route"], event["status"], event["code"]]);
    assert_eq!(told(&events[0]), json!(["request", "/api/v1/products/{code}", 400, "INVALID_REQUEST"]));
    assert_eq!(events[0]["actor"], format!("tok_{}", &token[4..30]));
    assert_eq!((&events[0]["requestId"], &events[0]["method"]), (&json!("mine"), &json!("GET")));
    assert_eq!(told(&events[1]), json!(["request", "/api/v1/products", 401, "UNAUTHENTICATED"]));
    assert_eq!(told(&events[2]), json!(["request", null, 404, "NO_SUCH_PATH"]));
    let text = registrar.world().journal().join("\n");
    assert!(
        events.len() == 3
            && ![&token[31..], &wrong, OPERATOR, "secret-code"].iter().any(|secret| text.contains(secret))
    );
}

#[test]
fn malformed_bodies_are_refused() {
    let registrar = Registrar::start();
    let ask = || registrar.request("POST", "/api/v1/products");
    ask().send().problem(415, "UNSUPPORTED_MEDIA_TYPE");
    ask().body("text/plain", b"{}").send().problem(415, "UNSUPPORTED_MEDIA_TYPE");
    ask().body("application/merge-patch+json", b"{}").send().problem(415, "UNSUPPORTED_MEDIA_TYPE");
    ask().body("application/json; charset=utf-8", br#"{"code":"acme"}"#).send().expect(201);
    ask().header("content-type", "application/json").broken_body(Body::TooLarge).send().problem(413, "BODY_TOO_LARGE");
    ask()
        .header("content-type", "application/json")
        .broken_body(Body::Incomplete)
        .send()
        .problem(400, "INCOMPLETE_BODY");
    for body in ["", "[]", "{", "null", r#"{"code":"a","code":"b"}"#] {
        ask().body("application/json", body.as_bytes()).send().problem(400, "INVALID_REQUEST");
    }
}
