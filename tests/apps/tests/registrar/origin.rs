//! What an edge gets from its origin, and what it may write.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign::key;
use countersign::license::{License, Status};
use countersign::state::State;
use countersign_app_tests::{Answer, Registrar};
use serde_json::{Value, json};

struct Edge<'a> {
    origin: &'a Registrar,
    token: String,
}

impl<'a> Edge<'a> {
    fn new(origin: &'a Registrar) -> Self {
        Self { origin, token: origin.token("edge") }
    }

    fn of_product(origin: &'a Registrar, product: &str) -> Self {
        let fields = json!({ "name": "an edge", "role": "edge", "products": [product] });
        let token = origin.post("/api/v1/tokens", &fields).expect(201)["token"].as_str().unwrap().to_owned();
        Self { origin, token }
    }

    fn post(&self, verb: &str, body: &Value) -> Answer {
        self.origin.anonymous("POST", &format!("/api/v1/origin/{verb}")).token(&self.token).json(body).send()
    }

    fn get(&self, keys: &[&str]) -> Vec<Value> {
        self.post("get", &json!({ "keys": keys })).expect(200)["entries"].as_array().unwrap().clone()
    }

    /// The record of the licence with this key.
    fn license(&self, key: &str) -> Option<License> {
        self.get(&[&store_key(key)]).first().map(record)
    }

    fn put(&self, key: &str, value: &[u8], expected: Option<&str>) -> Answer {
        let mut body = json!({ "key": key, "value": STANDARD.encode(value) });
        if let Some(expected) = expected {
            body["expectedVersion"] = expected.into();
        }
        self.post("put", &body)
    }

    /// Follows the changes until there is no more: the records, and the last cursor.
    fn follow(&self, cursor: Option<String>) -> (Vec<Value>, String) {
        let (mut items, mut next) = (Vec::new(), cursor);
        loop {
            let answer = self.changes(next.as_deref()).expect(200);
            items.extend(answer["items"].as_array().unwrap().iter().cloned());
            let cursor = answer["next"].as_str().unwrap().to_owned();
            if answer["more"] == false {
                return (items, cursor);
            }
            next = Some(cursor);
        }
    }

    fn changes(&self, cursor: Option<&str>) -> Answer {
        let query = cursor.map_or(String::new(), |cursor| format!("?cursor={cursor}"));
        self.origin.anonymous("GET", &format!("/api/v1/origin/changes{query}")).token(&self.token).send()
    }
}

fn store_key(key: &str) -> String {
    key::read(key).unwrap().store_key()
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap().to_owned()
}

fn record(entry: &Value) -> License {
    License::from_json(&STANDARD.decode(text(entry, "value")).unwrap()).unwrap()
}

#[test]
fn an_edge_reads_single_records_by_the_hashes_of_their_keys() {
    let origin = Registrar::start();
    let edge = Edge::new(&origin);
    let license = origin.issue();
    let key = text(&license, "key");
    assert_eq!(edge.license(&key), origin.stored(&key));
    assert_eq!(edge.license("a key that no licence has"), None);
    let rotated = origin.post(&format!("/api/v1/licenses/{}/rotate-key", text(&license, "id")), &json!({})).expect(200);
    assert_eq!(edge.license(&key).unwrap().status, Status::Revoked);
    assert_eq!(edge.license(&text(&rotated, "key")).unwrap().status, Status::Active);
    for key in ["licenses:all", "audit:head", "state", "", "license"] {
        edge.post("get", &json!({ "keys": [key] })).problem(400, "INVALID_REQUEST");
    }
    edge.post("get", &json!({ "keys": [] })).problem(400, "INVALID_REQUEST");
    edge.post("get", &json!({ "keys": vec![store_key(&key); 101] })).problem(400, "INVALID_REQUEST");
}

#[test]
fn an_edge_gets_the_truth_while_the_origins_store_does_not_answer() {
    let origin = Registrar::start();
    let edge = Edge::new(&origin);
    let license = origin.issue();
    origin.world().is_store_down = true;
    let revoked = origin.post(&format!("/api/v1/licenses/{}/revoke", text(&license, "id")), &json!({})).expect(200);
    assert_eq!(revoked["propagated"], false);
    assert_eq!(edge.license(&text(&license, "key")).unwrap().status, Status::Revoked);
    let (changes, _) = edge.follow(None);
    assert_eq!(record(changes.last().unwrap()).status, Status::Revoked);
    // State is in the store alone.
    edge.post("get", &json!({ "keys": [format!("state:{}", text(&license, "id"))] })).problem(503, "UNAVAILABLE");
}

#[test]
fn an_edge_writes_state_on_condition() {
    let origin = Registrar::start();
    let edge = Edge::new(&origin);
    let id = text(&origin.issue(), "id");
    let key = format!("state:{id}");
    let state = |generation| State { generation, ..State::default() }.to_bytes();
    let stored = edge.put(&key, &state(1), None).expect(200);
    let version = text(&stored, "stored");
    assert_eq!(stored["store"], json!({ "name": "memory", "atomic": true, "ttl": true, "stalenessSeconds": 0 }));
    let conflict = edge.put(&key, &state(2), None).expect(200);
    assert_eq!(conflict["conflict"]["version"], json!(version));
    assert_eq!(conflict["conflict"], edge.get(&[&key])[0]);
    edge.put(&key, &state(2), Some(&version)).expect(200);
    let conflict = edge.put(&key, &state(3), Some(&version)).expect(200);
    assert_eq!(STANDARD.decode(text(&conflict["conflict"], "value")).unwrap(), state(2));
    edge.put(&format!("operation:{id}:0a"), &state(1), None).problem(422, "UNPROCESSABLE");
}

#[test]
fn an_edge_writes_nothing_but_the_state_of_licences_that_exist() {
    let origin = Registrar::start();
    let edge = Edge::new(&origin);
    let license = origin.issue();
    let state = State::default().to_bytes();
    let of = |key: &str| edge.put(key, &state, None);
    of(&store_key(&text(&license, "key"))).problem(400, "INVALID_REQUEST");
    of("audit:head").problem(400, "INVALID_REQUEST");
    of("edge:outage").problem(400, "INVALID_REQUEST");
    of(&format!("state:lic_{}", "0".repeat(26))).problem(404, "NOT_FOUND");
    let key = format!("state:{}", text(&license, "id"));
    edge.put(&key, b"no state", None).problem(422, "UNPROCESSABLE");
    edge.put(&key, &[1; 65_537], None).problem(413, "BODY_TOO_LARGE");
    edge.post("put", &json!({ "key": key, "value": "not base64" })).problem(400, "INVALID_REQUEST");
    edge.put(&key, &state, Some("-1")).problem(400, "INVALID_REQUEST");
    assert!(origin.world().entries.keys().all(|key| !key.starts_with("state:")));
}

#[test]
fn an_edge_that_follows_the_changes_has_all_licences() {
    let origin = Registrar::start();
    let edge = Edge::new(&origin);
    origin.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    for _ in 0..3 {
        let batch = json!({ "count": 100, "product": "acme", "plan": "pro" });
        origin.post("/api/v1/licenses/batch", &batch).expect(201);
    }
    let (items, cursor) = edge.follow(None);
    let mut keys: Vec<_> = items.iter().map(|item| text(item, "key")).collect();
    keys.sort_unstable();
    let stored: Vec<_> = origin.world().licenses().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, stored, "each once");
    assert_eq!(edge.follow(Some(cursor.clone())), (Vec::new(), cursor.clone()));

    // Whatever happens to a licence, its keys tell of it.
    let license = origin.issue();
    let at = format!("/api/v1/licenses/{}", text(&license, "id"));
    let rotated = origin.post(&format!("{at}/rotate-key"), &json!({})).expect(200);
    origin.delete(&at).expect(204);
    let (items, next) = edge.follow(Some(cursor));
    let mut expected = [&license, &rotated].map(|license| store_key(&text(license, "key")));
    expected.sort_unstable();
    let mut keys: Vec<_> = items.iter().map(|item| text(item, "key")).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert!(items.iter().all(|item| record(item).status == Status::Revoked));
    assert_eq!(edge.follow(Some(next.clone())), (Vec::new(), next));
}

#[test]
fn an_edge_begins_again_where_the_origin_has_another_history() {
    let origin = Registrar::start();
    let edge = Edge::new(&origin);
    origin.issue();
    let (_, cursor) = edge.follow(None);
    let other = Registrar::start();
    let elsewhere = Edge::new(&other);
    for _ in 0..5 {
        other.issue();
    }
    elsewhere.changes(Some(&cursor)).problem(410, "CURSOR_UNKNOWN");
    let (_, ahead) = elsewhere.follow(None);
    edge.changes(Some(&ahead)).problem(410, "CURSOR_UNKNOWN");
    for cursor in ["", "7", "zzzzzzzzzzzzzzzzzzzzzzzzzz"] {
        let refused = edge.changes(Some(cursor)).problem(400, "INVALID_REQUEST");
        assert_eq!(refused["field"], "cursor");
    }
}

#[test]
fn an_edge_of_one_product_learns_nothing_of_others() {
    let origin = Registrar::start();
    let license = origin.issue();
    origin.post("/api/v1/products", &json!({ "code": "other" })).expect(201);
    let other = origin.post("/api/v1/licenses", &json!({ "product": "other", "plan": "pro" })).expect(201);
    let edge = Edge::of_product(&origin, "other");
    assert_eq!(edge.license(&text(&license, "key")), None);
    assert_eq!(edge.license(&text(&other, "key")).unwrap().product.as_str(), "other");
    let (items, _) = edge.follow(None);
    assert_eq!(items.iter().map(|item| text(item, "key")).collect::<Vec<_>>(), [store_key(&text(&other, "key"))]);
    let state = State::default().to_bytes();
    edge.put(&format!("state:{}", text(&license, "id")), &state, None).problem(404, "NOT_FOUND");
    edge.put(&format!("state:{}", text(&other, "id")), &state, None).expect(200);
}

#[test]
fn an_edge_reports_the_validations_of_its_licences_once() {
    let origin = Registrar::start();
    let license = text(&origin.issue(), "id");
    origin.post("/api/v1/products", &json!({ "code": "other" })).expect(201);
    let other = origin.post("/api/v1/licenses", &json!({ "product": "other", "plan": "pro" })).expect(201);
    let edge = Edge::of_product(&origin, "acme");
    let count = |license: &str| json!({ "license": license, "day": "2026-11-22", "code": "VALID", "count": 3 });
    let body =
        json!({ "counts": [count(&license), count(&text(&other, "id")), count(&format!("lic_{}", "0".repeat(26)))] });
    let report = || {
        let request = origin.anonymous("POST", "/api/v1/origin/validations").token(&edge.token).json(&body);
        request.header("idempotency-key", "report-1").send().expect(204)
    };
    report();
    report();
    let stats = origin.get("/api/v1/stats").expect(200);
    assert_eq!(stats["validations"]["days"][0]["codes"], json!({ "VALID": 3 }), "{stats}");
}

#[test]
fn an_origin_lists_its_edges_and_how_far_behind_they_are() {
    let origin = Registrar::start();
    let edge = Edge::new(&origin);
    let listed = |origin: &Registrar| origin.get("/api/v1/edges").expect(200)["items"][0].clone();
    assert_eq!(listed(&origin).get("lastContactAt"), None);
    origin.issue();
    let (_, cursor) = edge.follow(None);
    edge.follow(Some(cursor.clone()));
    assert_eq!(
        (&listed(&origin)["eventsBehind"], &listed(&origin)["lastContactAt"]),
        (&json!(0), &json!("2026-11-22T10:00:00Z"))
    );
    origin.advance(90);
    origin.issue();
    assert_eq!(listed(&origin)["eventsBehind"], 1);
    edge.follow(Some(cursor));
    assert_eq!(listed(&origin)["lastContactAt"], "2026-11-22T10:01:30Z");
    let id = text(&listed(&origin), "id");
    origin.delete(&format!("/api/v1/tokens/{id}")).expect(204);
    assert_eq!(origin.get("/api/v1/edges").expect(200)["items"], json!([]));
    edge.changes(None).problem(401, "UNAUTHENTICATED");
}
