//! The audit: every change appends to one hash chain, tampering with it or with the data is found.

use std::collections::BTreeMap;

use countersign::audit::{BEGINNING, ERASED, content, link, rest};
use countersign::hex;
use serde_json::{Value, json};

use countersign_app_tests::{Answer, Registrar};

/// All events, page by page, and the end of the chain.
pub(crate) fn events(registrar: &Registrar, limit: u32) -> (Vec<Value>, Value) {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = registrar.get(&format!("/api/v1/events?limit={limit}{cursor}")).expect(200);
        events.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (events, page["head"].clone()),
        }
    }
}

/// The number of the first event that is out of place or not as it was written. Erasures must be
/// recorded.
pub(crate) fn first_fault(registrar: &Registrar) -> Option<u64> {
    let (events, head) = events(registrar, 100);
    let (mut previous, mut number) = (BEGINNING, 0u64);
    let mut erased = BTreeMap::new();
    for event in events {
        number += 1;
        let is_linked = event["previous"].as_str().and_then(hex::decode) == Some(previous) && event["number"] == number;
        let Some(content) = content(&event) else { return Some(number) };
        let mut hash = link(&previous, &content);
        if let Some(recorder) = event["erased"].as_u64() {
            let mut erasure = json!({ "number": number });
            if event.get("personal").is_none() {
                erasure["rest"] = hex::encode(&rest(&content)).into();
                hash = event["hash"].as_str().and_then(hex::decode).unwrap();
            }
            erased.insert(number, (recorder, erasure));
        }
        if !is_linked || event["hash"] != hex::encode(&hash) {
            return Some(number);
        }
        if event["action"] == ERASED {
            let recorded = event["after"]["events"].as_array().unwrap();
            erased.retain(|_, (recorder, erasure)| *recorder != number || !recorded.contains(erasure));
        }
        previous = hash;
    }
    let is_cut = head["number"] != number || head["hash"] != hex::encode(&previous);
    is_cut.then_some(number + 1).or(erased.first_key_value().map(|(number, _)| *number))
}

fn with_some_events() -> Registrar {
    let registrar = Registrar::start();
    registrar
        .post("/api/v1/products", &json!({ "code": "acme", "metadata": { "note": "ä \"b\"\n\u{2028}" } }))
        .expect(201);
    registrar.patch("/api/v1/products/acme", &json!({ "name": "Acme" })).expect(200);
    let policy =
        json!({ "product": "acme", "name": "pro", "plan": "pro", "durationSeconds": 86_400, "requires": ["domain"] });
    let policy = registrar.post("/api/v1/policies", &policy).expect(201);
    registrar.token("reader");
    registrar.delete(&format!("/api/v1/policies/{}", policy["id"].as_str().unwrap())).expect(204);
    registrar.delete("/api/v1/products/acme").expect(204);
    registrar
}

#[test]
fn every_change_appends_to_the_chain() {
    let registrar = with_some_events();
    let (all, head) = events(&registrar, 100);
    let told: Vec<_> = all.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(
        told,
        ["product.created", "product.updated", "policy.created", "token.created", "policy.deleted", "product.deleted"]
    );
    assert_eq!(head["number"], 6);
    assert_eq!(events(&registrar, 2), (all.clone(), head));
    assert_eq!(first_fault(&registrar), None);
    assert_eq!((&all[0]["before"], &all[5]["after"]), (&Value::Null, &Value::Null));
    assert_eq!(all[1]["before"], all[0]["after"]);
    assert_eq!((&all[1]["after"]["name"], &all[1]["subject"]), (&json!("Acme"), &json!("acme")));
    assert!(all[3]["after"].get("token").is_none() && all[3]["after"].get("hash").is_none());
}

#[test]
fn tampering_with_events_is_found() {
    let cases = [
        ("UPDATE events SET actor = 'host' WHERE number = 3", 3),
        ("UPDATE events SET after = '{}' WHERE number = 2", 2),
        ("UPDATE events SET before = NULL WHERE number = 2", 2),
        ("UPDATE events SET at = at + 1 WHERE number = 1", 1),
        ("UPDATE events SET request_id = 'other' WHERE number = 6", 6),
        ("DELETE FROM events WHERE number = 1", 1),
        ("DELETE FROM events WHERE number = 4", 4),
        ("DELETE FROM events WHERE number = 6", 6),
        ("DELETE FROM events", 1),
        ("UPDATE events SET number = 99 WHERE number = 2", 2),
        ("UPDATE events SET hash = zeroblob(32) WHERE number = 5", 5),
        ("UPDATE chain SET hash = zeroblob(32)", 7),
        (
            "UPDATE events SET number = -number WHERE number IN (2, 3);
             UPDATE events SET number = 5 + number WHERE number < 0",
            2,
        ),
    ];
    for (tampering, expected) in cases {
        let registrar = with_some_events();
        registrar.database().execute_batch(tampering).unwrap();
        assert_eq!(first_fault(&registrar), Some(expected), "{tampering}");
    }
}

#[test]
fn events_are_filtered_by_their_fields() {
    let registrar = with_some_events();
    registrar.advance(60);
    registrar.patch("/api/v1/products/acme", &json!({ "name": "Acme" })).problem(404, "NOT_FOUND");
    registrar.post("/api/v1/products", &json!({ "code": "later" })).expect(201);
    let numbers = |query: &str| -> Vec<u64> {
        let found = registrar.get(&format!("/api/v1/events?{query}")).expect(200);
        found["items"].as_array().unwrap().iter().map(|event| event["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers("subject=acme"), [1, 2, 6]);
    assert_eq!(numbers("action=product.created"), [1, 7]);
    assert_eq!(numbers("actor=operator&action=token.created"), [4]);
    assert_eq!(numbers("actor=host"), [] as [u64; 0]);
    assert_eq!(numbers("since=2026-11-22T10:00:01Z"), [7]);
    assert_eq!(numbers("until=2026-11-22T10:01:00Z&subject=acme"), [1, 2, 6]);
    let refused = |answer: Answer, field: &str| assert_eq!(answer.problem(400, "INVALID_REQUEST")["field"], field);
    for (query, field) in [
        ("since=yesterday", "since"),
        ("until=", "until"),
        ("action=nothing", "action"),
        ("limit=0", "limit"),
        ("cursor=1", "cursor"),
        ("unknown=1", "unknown"),
        ("limit=1&limit=1", "limit"),
        ("subject=", "subject"),
    ] {
        refused(registrar.get(&format!("/api/v1/events?{query}")), field);
    }
}

#[test]
fn a_page_of_large_events_ends_early() {
    let registrar = Registrar::start();
    let license = registrar.issue();
    let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    let domains: Vec<_> = (0..1_000).map(|number| format!("shop-number-{number}.some-longer-example.com")).collect();
    registrar.patch(&path, &json!({ "domains": domains })).expect(200);
    for round in 0..25 {
        registrar.patch(&path, &json!({ "owner": format!("owner {round}") })).expect(200);
    }
    let first = registrar.get("/api/v1/events?limit=100").expect(200);
    assert!(first["items"].as_array().unwrap().len() < 28 && first["next"].is_string());
    assert_eq!(events(&registrar, 100).0.len(), 28);
    assert_eq!(first_fault(&registrar), None);
}

/// What an audit finds, step by step: code and subject of each fault.
pub(crate) fn faults(registrar: &Registrar, limit: u32) -> Vec<(String, String)> {
    let (mut faults, mut cursor) = (Vec::new(), String::new());
    loop {
        let step = registrar.get(&format!("/api/v1/audit?limit={limit}{cursor}")).expect(200);
        assert!(step["checked"].as_u64().unwrap() <= u64::from(limit));
        let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
        let found = step["faults"].as_array().unwrap().iter();
        faults.extend(found.map(|fault| (text(fault, "code"), text(fault, "subject"))));
        match step["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return faults,
        }
    }
}

/// Resources of every kind, after changes of every kind: a licence that is changed, one with
/// another key, one that is deleted, one that is imported.
fn varied() -> (Registrar, Vec<String>) {
    let registrar = Registrar::start();
    let id = |answer: Value| answer["id"].as_str().unwrap().to_owned();
    let at = |id: &str, verb: &str| format!("/api/v1/licenses/{id}{verb}");
    let policy = json!({ "product": "acme", "name": "pro", "plan": "pro", "durationSeconds": 86_400 });
    let licenses = [registrar.issue(), registrar.issue(), registrar.issue()].map(id);
    let policy = id(registrar.post("/api/v1/policies", &policy).expect(201));
    registrar.patch(&format!("/api/v1/policies/{policy}"), &json!({ "plan": "max", "graceSeconds": 7 })).expect(200);
    registrar.patch("/api/v1/products/acme", &json!({ "name": "Acme" })).expect(200);
    registrar.patch(&at(&licenses[0], ""), &json!({ "owner": "jane", "domains": ["example.com"] })).expect(200);
    registrar.post(&at(&licenses[0], "/suspend"), &json!({})).expect(200);
    registrar.post(&at(&licenses[1], "/rotate-key"), &json!({})).expect(200);
    registrar.delete(&at(&licenses[2], "")).expect(204);
    let line = json!({ "policy": policy, "owner": "joe", "metadata": { "note": "ä" } }).to_string();
    let import = registrar.request("POST", "/api/v1/licenses/import").body("application/x-ndjson", line.as_bytes());
    import.send().expect(200);
    let used = registrar.token("admin");
    registrar.anonymous("GET", "/api/v1/products").token(&used).send().expect(200);
    registrar.delete(&format!("/api/v1/tokens/tok_{}", &used[4..30])).expect(204);
    let reader = registrar.token("reader");
    let ids = licenses.into_iter().chain([policy, "acme".into(), format!("tok_{}", &reader[4..30])]);
    (registrar, ids.collect())
}

#[test]
fn data_that_is_as_its_events_say_has_no_fault() {
    let (registrar, _) = varied();
    for limit in [1, 2, 3, 20, 21, 500] {
        assert_eq!(faults(&registrar, limit), [], "{limit}");
    }
    for (query, field) in [("limit=501", "limit"), ("cursor=1", "cursor"), ("chain=maybe", "chain"), ("x=1", "x")] {
        assert_eq!(registrar.get(&format!("/api/v1/audit?{query}")).problem(400, "INVALID_REQUEST")["field"], field);
    }
}

/// Gives a licence another key, wherever the database has it.
fn another_key(hash: &str, id: &str) -> String {
    format!(
        "UPDATE keys SET hash = '{hash}' WHERE hash = (SELECT key_hash FROM licenses WHERE id = '{id}');
         UPDATE licenses SET key_hash = '{hash}' WHERE id = '{id}'"
    )
}

#[test]
fn events_tell_nothing_of_a_secret_that_could_be_tried() {
    let (registrar, ids) = varied();
    let own = json!({ "product": "acme", "plan": "pro", "key": "123456", "allowWeakKeys": true });
    let imported = registrar.post("/api/v1/licenses", &own).expect(201);
    let at = |id: &str| format!("/api/v1/licenses/{id}/rotate-key");
    registrar.post(&at(&ids[1]), &json!({ "key": "654321", "allowWeakKeys": true })).expect(200);
    let (all, _) = events(&registrar, 100);
    let checks = |id: &Value| -> Vec<&Value> {
        all.iter().filter(|event| event["subject"] == *id).filter_map(|event| event["after"].get("check")).collect()
    };
    assert!(checks(&imported["id"]).is_empty());
    let rotated = checks(&json!(ids[1]));
    assert!(matches!(rotated[..], [Value::String(_), Value::String(_), Value::Null]), "{rotated:?}");
    for limit in [2, 500] {
        assert_eq!(faults(&registrar, limit), []);
    }
}

#[test]
fn data_that_was_changed_without_an_event_is_found() {
    let key = "1".repeat(64);
    let record = |id: &str| format!("(SELECT json_set(record, '$.status', 'active') FROM licenses WHERE id = '{id}')");
    type Tamper<'a> = &'a dyn Fn(&[String]) -> String;
    let cases: &[(Tamper<'_>, &str, Option<usize>)] = &[
        (
            &|_| "UPDATE licenses SET record = json_set(record, '$.plan', 'max') WHERE owner = 'jane'".into(),
            "DIFFERS",
            Some(0),
        ),
        (&|_| "UPDATE licenses SET status = 'active' WHERE owner = 'jane'".into(), "DIFFERS", Some(0)),
        (&|_| "UPDATE licenses SET product = 'other' WHERE owner = 'jane'".into(), "DIFFERS", Some(0)),
        (&|_| "UPDATE licenses SET metadata = '{\"a\":\"b\"}' WHERE owner = 'jane'".into(), "DIFFERS", Some(0)),
        (&|_| format!("UPDATE licenses SET key_hash = '{key}' WHERE owner = 'jane'"), "DIFFERS", Some(0)),
        (&|ids| format!("DELETE FROM licenses WHERE id = '{}'", ids[1]), "MISSING", Some(1)),
        (&|_| "UPDATE policies SET terms = json_set(terms, '$.plan', 'x')".into(), "DIFFERS", Some(3)),
        (&|_| "UPDATE policies SET product = 'other'".into(), "DIFFERS", Some(3)),
        (&|_| "DELETE FROM policies".into(), "MISSING", Some(3)),
        (&|_| "UPDATE products SET key_prefix = 'EVIL'".into(), "DIFFERS", Some(4)),
        (&|_| "DELETE FROM products".into(), "MISSING", Some(4)),
        (&|ids| format!("UPDATE tokens SET role = 'admin' WHERE id = '{}'", ids[5]), "DIFFERS", Some(5)),
        (&|ids| format!("UPDATE tokens SET products = '[\"x\"]' WHERE id = '{}'", ids[5]), "DIFFERS", Some(5)),
        (&|ids| format!("DELETE FROM tokens WHERE id = '{}'", ids[5]), "MISSING", Some(5)),
        // Another secret in the place of one that was generated.
        (&|ids| format!("UPDATE tokens SET hash = zeroblob(32) WHERE id = '{}'", ids[5]), "DIFFERS", Some(5)),
        (&|ids| another_key(&key, &ids[0]), "DIFFERS", Some(0)),
        (&|ids| another_key(&key, &ids[1]), "DIFFERS", Some(1)),
        (&|_| "UPDATE tokens SET revoked_at = NULL".into(), "DIFFERS", None),
        (
            &|_| {
                "INSERT INTO tokens (id, hash, name, role, created_at, revision)
                 VALUES ('tok_00000000000000000000000000', zeroblob(32), 'x', 'admin', 1, 1)"
                    .into()
            },
            "NO_EVENT",
            None,
        ),
        (
            &|_| {
                "INSERT INTO products (code, key_prefix, metadata, created_at, updated_at, revision)
                 VALUES ('evil', 'EVIL', '{}', 1, 1, 1)"
                    .into()
            },
            "NO_EVENT",
            None,
        ),
        (&|ids| format!("INSERT INTO keys VALUES ('{key}', '{}', {})", ids[0], record(&ids[0])), "DIFFERS", Some(0)),
        (&|ids| format!("INSERT INTO keys VALUES ('{key}', 'lic_evil', {})", record(&ids[0])), "NO_EVENT", None),
        (
            &|ids| format!("UPDATE keys SET retired = {} WHERE license = '{}'", record(&ids[0]), ids[2]),
            "DIFFERS",
            Some(2),
        ),
        (
            &|ids| {
                format!(
                    "INSERT INTO licenses (id, key_hash, record, metadata, created_at, updated_at, revision, product, status)
                     SELECT 'lic_00000000000000000000000000', '{key}',
                         json_set(record, '$.id', 'lic_00000000000000000000000000'), '{{}}', 1, 1, 1, product, status
                     FROM licenses WHERE id = '{}'",
                    ids[1]
                )
            },
            "NO_EVENT",
            None,
        ),
    ];
    for (tampering, code, subject) in cases {
        let (registrar, ids) = varied();
        let tampering = tampering(&ids);
        registrar.database().execute_batch(&tampering).unwrap();
        for limit in [2, 500] {
            let found = faults(&registrar, limit);
            let is_found = |(found, about): &(String, String)| {
                found == code && subject.is_none_or(|subject| ids[subject] == *about)
            };
            assert!(found.iter().any(is_found), "{tampering}: {found:?}");
        }
        assert_eq!(first_fault(&registrar), None, "the chain itself is whole");
    }
}

#[test]
fn a_change_of_forged_data_does_not_make_it_true() {
    let (registrar, ids) = varied();
    let forge = "UPDATE licenses SET record = json_set(record, '$.plan', 'max') WHERE owner = 'jane'";
    registrar.database().execute_batch(forge).unwrap();
    registrar.patch(&format!("/api/v1/licenses/{}", ids[0]), &json!({ "owner": "joe" })).expect(200);
    for limit in [1, 500] {
        assert_eq!(faults(&registrar, limit), [("HISTORY".to_owned(), ids[0].clone())]);
    }
}

#[test]
fn a_chain_without_its_end_is_found_also_once_it_has_grown_again() {
    let (registrar, ids) = varied();
    let cut = "DELETE FROM tokens WHERE id = ?1";
    let database = registrar.database();
    database.execute(cut, [&ids[5]]).unwrap();
    database
        .execute_batch(
            "DELETE FROM events WHERE number = (SELECT number FROM chain);
             UPDATE chain SET (number, hash) = (SELECT number, hash FROM events ORDER BY number DESC LIMIT 1)",
        )
        .unwrap();
    let head = [("CHAIN".to_owned(), "audit_head".to_owned())];
    assert_eq!(first_fault(&registrar), None, "the chain itself is whole");
    assert_eq!(faults(&registrar, 500), head);
    for name in ["a", "b", "c"] {
        registrar.patch("/api/v1/products/acme", &json!({ "name": name })).expect(200);
        assert_eq!(faults(&registrar, 500), head);
    }
    // After a restore that was meant, the vendor says so, and that is an event too.
    registrar.post("/api/v1/audit/accept", &json!({})).expect(200);
    assert_eq!(faults(&registrar, 500), []);
    let accepted = registrar.get("/api/v1/events?action=audit.accepted").expect(200)["items"][0].clone();
    assert!(accepted["before"]["number"].is_number() && accepted["after"]["number"].is_number());
    registrar.patch("/api/v1/products/acme", &json!({ "name": "d" })).expect(200);
    assert_eq!(faults(&registrar, 500), []);
}

#[test]
fn an_audit_without_the_store_is_a_fault_and_not_a_verdict() {
    let (registrar, _) = varied();
    registrar.world().is_store_down = true;
    registrar.get("/api/v1/audit").problem(503, "UNAVAILABLE");
    registrar.patch("/api/v1/products/acme", &json!({ "name": "later" })).expect(200);
    registrar.world().is_store_down = false;
    // The store remembers an earlier event, which is still there.
    assert_eq!(faults(&registrar, 500), []);
    registrar.patch("/api/v1/products/acme", &json!({ "name": "now" })).expect(200);
    let step = registrar.get("/api/v1/audit").expect(200);
    assert_eq!(step["remembered"], step["head"]);
    // So is one of a memory that cannot be read, which can be replaced.
    registrar.world().write("audit:head", b"no event".to_vec());
    registrar.get("/api/v1/audit").problem(503, "UNAVAILABLE");
    registrar.post("/api/v1/audit/accept", &json!({})).expect(200);
    assert_eq!(faults(&registrar, 500), []);
}

#[test]
fn a_page_of_events_looks_at_a_bounded_number() {
    let registrar = with_some_events();
    let database = registrar.database();
    let fill = "WITH RECURSIVE n (i) AS (SELECT 7 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
        INSERT INTO events (number, id, at, actor, action, subject, request_id, previous, hash)
        SELECT i, 'evt_' || i, 1795341600 + i / 5000, 'operator', 'product.updated', 'acme', 'req_1', zeroblob(32),
            zeroblob(32) FROM n";
    database.execute(fill, []).unwrap();
    let count = |query: &str| {
        let (mut found, mut pages, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let page = registrar.get(&format!("/api/v1/events?limit=100{query}{cursor}")).expect(200);
            found.extend(page["items"].as_array().unwrap().iter().map(|event| event["number"].as_u64().unwrap()));
            pages += 1;
            match page["next"].as_str() {
                Some(next) if pages < 50 => cursor = format!("&cursor={next}"),
                _ => return (found, pages),
            }
        }
    };
    // By an index that has all of the answer.
    assert_eq!(count("&action=token.created"), (vec![4], 1));
    // Nothing passes the second condition.
    for query in ["&subject=acme&action=token.created", "&actor=operator&action=license.created"] {
        let (found, pages) = count(query);
        assert!(found.is_empty() && pages == 3, "{query}: {pages}");
    }
    assert_eq!(count("&subject=acme&action=product.deleted"), (vec![6], 3));
    // In the order of time, where a moment has many events.
    let (found, _) = count("&since=2026-11-22T10:00:05Z");
    assert_eq!(found, [25_000]);
    let (found, _) = count("&since=2026-11-22T10:00:04Z&until=2026-11-22T10:00:05Z");
    assert_eq!((found.len(), found[0], found.is_sorted()), (5_000, 20_000, true));
}
