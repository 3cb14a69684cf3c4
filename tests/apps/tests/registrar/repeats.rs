//! Retries and concurrent requests.

use serde_json::json;

use countersign_app_tests::{OPERATOR, Registrar, at_once};

const CLIENTS: usize = 32;

#[test]
fn concurrent_retries_have_one_effect_and_one_answer() {
    let registrar = Registrar::start();
    let body = json!({ "name": "shop", "role": "issuer" });
    let answers = at_once(CLIENTS, |_| {
        registrar.request("POST", "/api/v1/tokens").header("idempotency-key", "one").json(&body).send()
    });
    let first = &answers[0];
    for answer in &answers {
        assert_eq!((answer.status, &answer.bytes), (201, &first.bytes), "{:?}", answer.body);
        assert_eq!(answer.header("location"), first.header("location"));
        assert_eq!(answer.header("etag"), Some("\"1\""));
    }
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count(), 1);
    assert_eq!(registrar.get("/api/v1/tokens").expect(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(registrar.get("/api/v1/events").expect(200)["head"]["number"], 1);
    // The token works, and the database's file does not contain it.
    let token = first.body["token"].as_str().unwrap();
    registrar.anonymous("GET", "/api/v1/products").token(token).send().expect(200);
    registrar.database().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let file = std::fs::read(registrar.file()).unwrap();
    let holds = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("token.created") && !holds(token) && !holds(&token[31..]) && !holds(OPERATOR));
}

#[test]
fn concurrent_retries_issue_one_licence() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let body = json!({ "product": "acme", "plan": "pro" });
    let answers = at_once(CLIENTS, |_| {
        registrar.request("POST", "/api/v1/licenses").header("idempotency-key", "one").json(&body).send()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.bytes), (201, &answers[0].bytes), "{:?}", answer.body);
    }
    assert_eq!(answers[0].body["propagated"], true);
    assert_eq!(registrar.world().licenses().count(), 1);
    assert_eq!(registrar.get("/api/v1/licenses").expect(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_retry_that_would_conflict_with_itself_replays_its_answer() {
    let registrar = Registrar::start();
    let body = json!({ "code": "acme" });
    let answers = at_once(CLIENTS, |_| {
        registrar.request("POST", "/api/v1/products").header("idempotency-key", "one").json(&body).send()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.bytes), (201, &answers[0].bytes));
    }
    registrar.post("/api/v1/products", &body).problem(409, "CONFLICT");
}

#[test]
fn an_idempotency_key_lasts_a_day_for_one_request_of_one_token() {
    let registrar = Registrar::start();
    let other = registrar.token("admin");
    let ask = |token: &str, key: &str, name: &str| {
        let asking = registrar.request("POST", "/api/v1/tokens").token(token).header("idempotency-key", key);
        asking.json(&json!({ "name": name, "role": "reader" })).send()
    };
    let first = ask(OPERATOR, "one", "a").expect(201);
    assert_eq!(ask(OPERATOR, "\"one\"", "a").expect(201), first);
    ask(OPERATOR, "one", "b").problem(422, "IDEMPOTENCY_KEY_REUSED");
    assert_ne!(ask(&other, "one", "b").expect(201)["id"], first["id"]);
    assert_ne!(ask(OPERATOR, "two", "a").expect(201)["id"], first["id"]);
    let elsewhere = registrar.request("POST", "/api/v1/policies").header("idempotency-key", "one");
    elsewhere.json(&json!({ "product": "p", "name": "a" })).send().problem(422, "IDEMPOTENCY_KEY_REUSED");
    registrar.advance(86_399);
    assert_eq!(ask(OPERATOR, "one", "a").expect(201), first);
    registrar.advance(1);
    assert_ne!(ask(OPERATOR, "one", "b").expect(201)["id"], first["id"]);
    let stored: i64 = registrar.database().query_row("SELECT count(*) FROM operations", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, 1, "expired keys are deleted");
    for refused in ["", "\"\"", "two words", &"x".repeat(256)] {
        ask(OPERATOR, refused, "a").problem(400, "INVALID_REQUEST");
    }
}

#[test]
fn a_repeat_is_the_same_json_value_whatever_its_bytes() {
    let registrar = Registrar::start();
    let ask = |path: &str, body: &str| {
        let asking = registrar.request("POST", path).header("idempotency-key", "one");
        asking.body("application/json", body.as_bytes()).send()
    };
    let first = ask("/api/v1/tokens", r#"{"name":"shöp","role":"reader"}"#);
    for same in
        ["{ \"role\" : \"reader\",\r\n\"name\":\"sh\\u00f6p\" }", "\u{feff}{\"name\":\"shöp\",\"role\":\"reader\"}"]
    {
        let repeat = ask("/api/v1/tokens/", same);
        assert_eq!((repeat.status, &repeat.bytes), (201, &first.bytes), "{:?}", repeat.body);
        assert_eq!(repeat.header("idempotency-replayed"), Some("true"));
    }
    for other in [r#"{"name":"shop","role":"reader"}"#, r#"{"name":"shöp","role":"reader","products":["acme"]}"#] {
        ask("/api/v1/tokens", other).problem(422, "IDEMPOTENCY_KEY_REUSED");
    }
}

#[test]
fn a_refused_request_may_be_retried() {
    let registrar = Registrar::start();
    let ask = || {
        let asking = registrar.request("POST", "/api/v1/policies").header("idempotency-key", "one");
        asking.json(&json!({ "product": "acme", "name": "pro" })).send()
    };
    ask().problem(422, "UNPROCESSABLE");
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    ask().expect(201);
}

#[test]
fn one_of_concurrent_changes_to_one_revision_is_made() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let answers = at_once(CLIENTS, |client| {
        let asking = registrar.request("PATCH", "/api/v1/products/acme").header("if-match", "\"1\"");
        asking.json(&json!({ "name": format!("client {client}") })).send()
    });
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(made.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.clone().problem(412, "PRECONDITION_FAILED");
    }
    let product = registrar.get("/api/v1/products/acme");
    assert_eq!((product.header("etag"), &product.body), (Some("\"2\""), &made[0].body));
}

#[test]
fn changes_without_if_match_are_all_made() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let answers = at_once(CLIENTS, |client| {
        registrar.patch("/api/v1/products/acme", &json!({ "metadata": { format!("client-{client}"): "was here" } }))
    });
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let product = registrar.get("/api/v1/products/acme").expect(200);
    assert_eq!(product["metadata"].as_object().unwrap().len(), CLIENTS);
    assert_eq!(product["revision"], 1 + CLIENTS);
}

#[test]
fn if_match_must_name_the_current_revision() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let ask = |if_match: &str, name: &str| {
        let asking = registrar.request("PATCH", "/api/v1/products/acme").header("if-match", if_match);
        asking.json(&json!({ "name": name })).send()
    };
    ask("*", "a").expect(200);
    ask("\"1\", \"2\"", "b").expect(200);
    ask("\"2\"", "c").problem(412, "PRECONDITION_FAILED");
    let weak = ask("W/\"3\"", "c").problem(412, "PRECONDITION_FAILED");
    assert!(weak["detail"].as_str().unwrap().contains("weak tag"), "{weak}");
    let old = ask("W/\"2\"", "c").problem(412, "PRECONDITION_FAILED");
    assert!(old["detail"].as_str().unwrap().contains("current revision"), "{old}");
    ask("3", "c").problem(400, "INVALID_REQUEST");
    // A patch that changes nothing makes no revision and no event.
    let same = ask("\"3\"", "b");
    assert_eq!(same.header("etag"), Some("\"3\""));
    let events = registrar.get("/api/v1/events").expect(200)["head"]["number"].clone();
    assert_eq!(events, 3);
    let delete =
        |if_match: &str| registrar.request("DELETE", "/api/v1/products/acme").header("if-match", if_match).send();
    delete("\"2\"").problem(412, "PRECONDITION_FAILED");
    delete("\"3\"").expect(204);
    ask("*", "d").problem(404, "NOT_FOUND");
}
