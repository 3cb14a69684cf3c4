//! A vendor's changes of a licence, and the verdicts that its holder gets after each.

use serde_json::{Value, json};

use super::{code, issue, path, policy, start};
use countersign_app_tests::{Answer, Registrar};

const DAY: i64 = 86_400;

fn verb(registrar: &Registrar, licence: &Value, verb: &str, body: Value) -> Value {
    registrar.post(&format!("{}/{verb}", path(licence)), &body).expect(200)
}

/// A licence of a policy, for `example.com`, with two seats for machines and thirty days to run.
struct Issued {
    registrar: Registrar,
    policy: Value,
    /// The answer to the request that issued it.
    answer: Answer,
    path: String,
    key: Value,
}

impl Issued {
    fn new() -> Self {
        let registrar = start();
        let terms = json!({
            "plan": "pro", "durationSeconds": 30 * DAY, "features": ["export"],
            "activation": { "per": "machine", "limit": 2 },
        });
        let policy = policy(&registrar, terms)["id"].clone();
        let asked = json!({ "policy": policy, "domains": ["Example.com"], "owner": "jane" });
        let answer = registrar.post("/api/v1/licenses", &asked);
        let licence = answer.clone().expect(201);
        Self { registrar, policy, answer, path: path(&licence), key: licence["key"].clone() }
    }

    /// The vendor's change, and the licence after it.
    fn change(&self, name: &str, body: Value) -> Value {
        self.registrar.post(&format!("{}/{name}", self.path), &body).expect(200)
    }

    /// Removes a domain.
    fn remove(&self, domain: &str) -> Answer {
        self.registrar.delete(&format!("{}/domains/{domain}", self.path))
    }

    /// The code that a machine at `example.com` gets with this key.
    fn ask(&self, verb: &str, key: &Value, machine: &str) -> Value {
        let body = json!({ "key": key, "domain": "example.com", "fingerprint": machine });
        self.registrar.holder(verb, &body)["code"].clone()
    }

    /// The code that a seated machine gets at a domain.
    fn at(&self, domain: &str) -> Value {
        self.ask("activate", &self.key, "m1");
        let body = json!({ "key": self.key, "domain": domain, "fingerprint": "m1" });
        self.registrar.holder("validate", &body)["code"].clone()
    }
}

#[test]
fn a_licence_gets_the_terms_of_its_policy() {
    let Issued { registrar, policy, answer, path, key } = Issued::new();
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(answer.header("location"), Some(path.as_str()));
    assert!(key.as_str().unwrap().starts_with("ACME-"));
    let issued = answer.expect(201);
    let mut expected = json!({
        "id": issued["id"], "product": "acme", "status": "active", "hint": issued["hint"], "plan": "pro", "policy": policy,
        "issuedAt": "2026-11-22T10:00:00Z", "expiresAt": "2026-12-22T10:00:00Z", "expiryStrategy": "restrict", "graceSeconds": 0,
        "features": ["export"], "domains": ["example.com"], "requires": [],
        "activation": { "per": "machine", "limit": 2, "overage": "none", "match": "all", "reviveSeconds": 0, "manage": "own" },
        "owner": "jane", "metadata": {}, "createdAt": "2026-11-22T10:00:00Z", "updatedAt": "2026-11-22T10:00:00Z",
        "revision": 1, "generation": 1,
    });
    let read = registrar.get(&path);
    assert_eq!(read.header("etag"), Some("\"1\""));
    assert_eq!(read.expect(200), expected);
    expected["key"] = key;
    expected["propagated"] = true.into();
    assert_eq!(issued, expected);
}

#[test]
fn domains_are_added_and_removed_down_to_the_last() {
    let issued = Issued::new();
    assert_eq!(issued.at("example.com"), "VALID");
    assert_eq!(issued.at("example.org"), "DOMAIN_MISMATCH");
    let added = issued.change("domains", json!({ "domains": ["example.org", "example.com"] }));
    assert_eq!((&added["domains"], &added["revision"]), (&json!(["example.com", "example.org"]), &json!(2)));
    assert_eq!(issued.at("www.example.org"), "VALID");
    let removed = issued.remove("EXAMPLE.com").expect(200);
    assert_eq!((&removed["domains"], &removed["generation"]), (&json!(["example.org"]), &json!(3)));
    assert_eq!(issued.at("example.com"), "DOMAIN_MISMATCH");
    assert_eq!(issued.remove("example.com").expect(200)["revision"], 3);
    assert_eq!(issued.remove("example.org").problem(422, "UNPROCESSABLE")["field"], "domains");
}

#[test]
fn suspending_twice_changes_nothing_more() {
    let issued = Issued::new();
    for _ in 0..2 {
        assert_eq!(issued.change("suspend", json!({}))["revision"], 2);
        assert_eq!(issued.at("example.com"), "SUSPENDED");
    }
}

#[test]
fn a_resumed_licence_is_valid_again() {
    let issued = Issued::new();
    issued.change("suspend", json!({}));
    let resumed = issued.registrar.request("POST", &format!("{}/resume", issued.path)).send();
    assert_eq!(resumed.expect(200)["status"], "active");
    assert_eq!(issued.at("example.com"), "VALID");
}

#[test]
fn renewing_counts_from_now_after_expiry_and_from_the_end_before() {
    let issued = Issued::new();
    issued.registrar.advance(40 * DAY);
    assert_eq!(issued.at("example.com"), "EXPIRED");
    let renewed = issued.change("renew", json!({}));
    assert_eq!(renewed["expiresAt"], "2027-01-31T10:00:00Z", "thirty days from now");
    assert_eq!(issued.at("example.com"), "VALID");
    let renewed = issued.change("renew", json!({ "durationSeconds": DAY }));
    assert_eq!(renewed["expiresAt"], "2027-02-01T10:00:00Z", "a day from its end");
}

#[test]
fn renewing_until_a_time_may_not_shorten_the_term() {
    let issued = Issued::new();
    let renewed = issued.change("renew", json!({ "expiresAt": "2028-01-01T00:00:00+01:00" }));
    assert_eq!(renewed["expiresAt"], "2027-12-31T23:00:00Z");
    let earlier = json!({ "expiresAt": "2027-01-01T00:00:00Z" });
    let refused = issued.registrar.post(&format!("{}/renew", issued.path), &earlier);
    assert_eq!(refused.problem(422, "UNPROCESSABLE")["field"], "expiresAt");
}

#[test]
fn a_new_key_keeps_the_seats() {
    let issued = Issued::new();
    let registrar = &issued.registrar;
    assert_eq!(issued.ask("activate", &issued.key, "m1"), "VALID");
    registrar.advance(DAY);
    assert_eq!(issued.ask("activate", &issued.key, "m2"), "VALID");
    let rotated = issued.change("rotate-key", json!({}));
    let key = &rotated["key"];
    assert_ne!(*key, issued.key);
    assert!(key.as_str().unwrap().ends_with(rotated["hint"].as_str().unwrap()));
    assert_eq!(rotated["hint"].as_str().unwrap().len(), 4);
    assert_eq!(issued.ask("validate", key, "m1"), "VALID");
    assert_eq!(issued.ask("activate", key, "m3"), "TOO_MANY_ACTIVATIONS");
    let seats = registrar.get(&format!("{}/activations", issued.path)).expect(200);
    let activations = seats["activations"].as_array().unwrap();
    let times: Vec<_> = activations.iter().map(|seat| [&seat["activatedAt"], &seat["leaseEndsAt"]]).collect();
    let [first, second] = [json!("2026-11-22T10:00:00Z"), json!("2026-11-23T10:00:00Z")];
    assert_eq!(times, [[&first, &Value::Null], [&second, &Value::Null]]);
    assert_eq!((&seats["per"], &seats["seats"]), (&json!("machine"), &json!({ "limit": 2, "used": 2 })));
    let found = registrar.post("/api/v1/licenses/lookup", &json!({ "key": key })).expect(200);
    assert_eq!(path(&found), issued.path);
}

#[test]
fn an_old_key_is_revoked_frees_no_seat_and_tells_nothing() {
    let issued = Issued::new();
    assert_eq!(issued.ask("activate", &issued.key, "m1"), "VALID");
    issued.change("rotate-key", json!({}));
    assert_eq!(issued.ask("validate", &issued.key, "m1"), "REVOKED");
    let revoked = json!({ "valid": false, "code": "REVOKED", "detail": "The licence was revoked." });
    let (key, seat) = (json!({ "key": issued.key }), json!({ "key": issued.key, "fingerprint": "m1" }));
    for (verb, body) in [("activations", &key), ("deactivate", &seat), ("activate", &seat), ("heartbeat", &seat)] {
        assert_eq!(issued.registrar.holder(verb, body), revoked, "{verb}");
    }
    issued.registrar.post("/api/v1/licenses/lookup", &json!({ "key": issued.key })).problem(404, "NOT_FOUND");
}

#[test]
fn a_revoked_licence_stays_revoked() {
    let Issued { registrar, path, key, .. } = &Issued::new();
    for _ in 0..2 {
        let revoked = registrar.post(&format!("{path}/revoke"), &json!({})).expect(200);
        assert_eq!(revoked["status"], "revoked");
        assert_eq!(code(registrar, key), "REVOKED");
    }
    for change in ["resume", "suspend", "renew", "rotate-key"] {
        registrar.post(&format!("{path}/{change}"), &json!({})).problem(409, "REVOKED");
    }
    registrar.patch(path, &json!({ "owner": "joe" })).problem(409, "REVOKED");
    registrar.patch(path, &json!({ "owner": "jane" })).expect(200);
}

#[test]
fn the_keys_of_a_deleted_licence_stay_revoked_and_taken() {
    let issued = Issued::new();
    let Issued { registrar, path, key, .. } = &issued;
    let new_key = &issued.change("rotate-key", json!({}))["key"];
    registrar.delete(path).expect(204);
    registrar.get(path).problem(404, "NOT_FOUND");
    registrar.delete(path).problem(404, "NOT_FOUND");
    for key in [key, new_key] {
        assert_eq!(code(registrar, key), "REVOKED");
        let again = json!({ "product": "acme", "plan": "pro", "key": key });
        registrar.post("/api/v1/licenses", &again).problem(409, "KEY_TAKEN");
    }
}

#[test]
fn each_change_is_an_event_and_no_event_has_a_key() {
    let issued = Issued::new();
    let registrar = &issued.registrar;
    issued.change("domains", json!({ "domains": ["example.org"] }));
    issued.remove("example.com").expect(200);
    // Neither of these two changes anything.
    issued.remove("example.com").expect(200);
    issued.change("resume", json!({}));
    issued.change("suspend", json!({}));
    issued.change("resume", json!({}));
    issued.change("renew", json!({}));
    let new_key = issued.change("rotate-key", json!({}))["key"].clone();
    issued.change("revoke", json!({}));
    registrar.delete(&issued.path).expect(204);
    let id = issued.path.rsplit('/').next().unwrap();
    let events = registrar.get(&format!("/api/v1/events?limit=100&subject={id}")).expect(200);
    let actions: Vec<_> =
        events["items"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
    let expected = [
        "license.created",
        "license.domains-changed",
        "license.domains-changed",
        "license.suspended",
        "license.resumed",
        "license.renewed",
        "license.key-rotated",
        "license.revoked",
        "license.deleted",
    ];
    assert_eq!(actions, expected);
    let written = events.to_string() + &registrar.world().journal().concat();
    for key in [&issued.key, &new_key] {
        assert!(!written.contains(key.as_str().unwrap()));
    }
}

#[test]
fn white_space_around_an_existing_key_does_not_matter() {
    let registrar = start();
    issue(&registrar, json!({ "key": " HS-0003-AAAA-0001\u{200b}\r\n" }));
    for key in ["HS-0003-AAAA-0001", "HS-0003-AAAA-0001 ", "\u{feff}HS-0003-AAAA-0001\n"] {
        assert_eq!(code(&registrar, &json!(key)), "VALID");
        let lookup = registrar.post("/api/v1/licenses/lookup", &json!({ "key": key }));
        assert_eq!(lookup.expect(200)["hint"], "0001");
        let again = json!({ "product": "acme", "plan": "pro", "key": key });
        registrar.post("/api/v1/licenses", &again).problem(409, "KEY_TAKEN");
    }
    let long = "kept".repeat(2_048);
    issue(&registrar, json!({ "key": long }));
    assert_eq!(code(&registrar, &json!(long)), "VALID");
    let longer = json!({ "product": "acme", "plan": "pro", "key": format!("{long}s") });
    assert_eq!(registrar.post("/api/v1/licenses", &longer).problem(400, "INVALID_REQUEST")["field"], "key");
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

    // From a fixed end to one counted from first use, and back: the end that this use gave stays.
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
fn propagated_is_false_until_the_store_has_the_change() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    registrar.world().is_store_down = true;
    let suspended = verb(&registrar, &licence, "suspend", json!({}));
    assert_eq!(suspended["propagated"], false);
    assert_eq!(
        verb(&registrar, &licence, "suspend", json!({}))["propagated"],
        false,
        "nothing new to deliver, and the old still queued"
    );
    registrar.world().is_store_down = false;
    assert_eq!(code(&registrar, &licence["key"]), "VALID");
    let delivered = registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200);
    assert_eq!(delivered, json!({ "delivered": 1, "left": 0 }));
    assert_eq!(code(&registrar, &licence["key"]), "SUSPENDED");
    assert_eq!(verb(&registrar, &licence, "suspend", json!({}))["propagated"], true);
}

#[test]
fn a_licence_is_renewed_by_months_without_drift() {
    let registrar = start();
    let monthly = policy(&registrar, json!({ "plan": "pro", "duration": "1mo" }));
    assert_eq!((&monthly["duration"], monthly.get("durationSeconds")), (&json!("P1M"), None));
    // It is issued on 22 November.
    let licence = registrar.post("/api/v1/licenses", &json!({ "policy": monthly["id"] })).expect(201);
    assert_eq!(licence["expiresAt"], "2026-12-22T10:00:00Z");
    assert_eq!(verb(&registrar, &licence, "renew", json!({}))["expiresAt"], "2027-01-22T10:00:00Z");

    let licence = issue(&registrar, json!({ "expiresAt": "2027-12-31T12:00:00Z" }));
    let renew = |duration: &str| {
        let renewed = verb(&registrar, &licence, "renew", json!({ "duration": duration }));
        (renewed["expiresAt"].as_str().unwrap().to_owned(), renewed["renewalDay"].as_u64())
    };
    assert_eq!(renew("P1M"), ("2028-01-31T12:00:00Z".into(), None));
    assert_eq!(renew("1mo"), ("2028-02-29T12:00:00Z".into(), Some(31)));
    assert_eq!(renew("1mo"), ("2028-03-31T12:00:00Z".into(), None));
    assert_eq!(renew("1y"), ("2029-03-31T12:00:00Z".into(), None));
    assert_eq!(renew("11mo"), ("2030-02-28T12:00:00Z".into(), Some(31)));

    // It stays as long as the end does.
    let patched = registrar.patch(&path(&licence), &json!({ "owner": "jane" })).expect(200);
    assert_eq!(patched["renewalDay"], 31);
    let patched = registrar.patch(&path(&licence), &json!({ "expiresAt": "2030-03-01" })).expect(200);
    assert_eq!(patched.get("renewalDay"), None);

    for (body, field) in [
        (json!({ "duration": "1 month" }), "duration"),
        (json!({ "duration": "1mo", "durationSeconds": 1 }), "duration"),
        (json!({ "duration": "1mo", "expiresAt": "2040-01-01" }), "expiresAt"),
    ] {
        let refused = registrar.post(&format!("{}/renew", path(&licence)), &body).problem(400, "INVALID_REQUEST");
        assert_eq!(refused["field"], field, "{body}");
    }
}

#[test]
fn a_month_that_begins_with_use_is_one_of_the_calendar() {
    let registrar = start();
    let terms = json!({ "expiryBasis": "first-validation", "duration": "P1M" });
    let licence = issue(&registrar, terms);
    let verdict = registrar.holder("validate", &json!({ "key": licence["key"] }));
    assert_eq!(verdict["expiresAt"], "2026-12-22T10:00:00Z");
    let renewed = verb(&registrar, &licence, "renew", json!({ "duration": "P1Y" }));
    assert_eq!((&renewed["duration"], renewed.get("durationSeconds")), (&json!("P1Y1M"), None));
    registrar.advance(1_000 * DAY);
    assert_eq!(code(&registrar, &licence["key"]), "EXPIRED");
    verb(&registrar, &licence, "renew", json!({ "duration": "1mo" }));
    let verdict = registrar.holder("validate", &json!({ "key": licence["key"] }));
    assert_eq!(verdict["expiresAt"], "2029-09-18T10:00:00Z", "a month from 18 August");
}
