//! An owner who is forgotten is nowhere, and the audit still verifies.

use std::fs;

use countersign::audit::{BEGINNING, link};
use serde_json::{Value, json};

use crate::audit::{events, faults, first_fault};
use countersign_app_tests::{Fault, Registrar};

const JANE: &str = "Jane.Doe@example.com";

fn issue(registrar: &Registrar, owner: &str) -> Value {
    registrar.post("/api/v1/products", &json!({ "code": "acme" }));
    let licence =
        json!({ "product": "acme", "plan": "pro", "owner": owner, "metadata": { "name": format!("Name of {owner}") } });
    registrar.post("/api/v1/licenses", &licence).expect(201)
}

fn path(licence: &Value) -> String {
    format!("/api/v1/licenses/{}", licence["id"].as_str().unwrap())
}

/// Forgets an owner in steps. Returns how many licences, events and answers that concerned.
fn forget(registrar: &Registrar, options: &Value) -> [u64; 3] {
    let mut body = options.clone();
    let mut sums = [0; 3];
    loop {
        let report = registrar.post("/api/v1/owners/forget", &body).expect(200);
        for (sum, name) in sums.iter_mut().zip(["licenses", "events", "answers"]) {
            *sum += report[name].as_u64().unwrap();
        }
        match report["next"].as_str() {
            Some(next) => body["cursor"] = next.into(),
            None => return sums,
        }
    }
}

/// Whether a text is anywhere in the database's file, free space included.
fn is_in_database(registrar: &Registrar, text: &str) -> bool {
    registrar.database().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let bytes = fs::read(registrar.file()).unwrap().to_ascii_lowercase();
    bytes.windows(text.len()).any(|window| window == text.to_lowercase().as_bytes())
}

/// Makes all events what an earlier version would have written: hashed with all that they contain.
fn as_of_an_earlier_version(registrar: &Registrar) {
    let database = registrar.database();
    let mut previous = BEGINNING;
    for mut event in events(registrar, 100).0 {
        let members = event.as_object_mut().unwrap();
        members.retain(|name, _| !["hash", "previous", "salt", "personal", "erased"].contains(&name.as_str()));
        let hash = link(&previous, &event);
        let [before, after] = ["before", "after"].map(|name| match &event[name] {
            Value::Null => None,
            state => Some(state.to_string()),
        });
        let update =
            "UPDATE events SET before = ?2, after = ?3, previous = ?4, hash = ?5, salt = NULL, personal = NULL,
            commitment = NULL WHERE number = ?1";
        database.execute(update, (event["number"].as_i64(), before, after, previous, hash)).unwrap();
        previous = hash;
    }
    database.execute("UPDATE chain SET hash = ?1", [previous]).unwrap();
}

/// The registrar's own audit finds nothing, except that the chain was rewritten by this test.
fn check_audit(registrar: &Registrar) {
    let mut found = faults(registrar, 7);
    found.retain(|(_, subject)| subject != "audit_head");
    assert_eq!(found, []);
    assert_eq!(registrar.post("/api/v1/audit/accept", &json!({})).status, 200);
    assert_eq!(faults(registrar, 500), []);
}

/// Jane has two licences, had one that is Sam's now, and one that was deleted. Sam has another.
fn with_owners() -> (Registrar, Vec<Value>) {
    let registrar = Registrar::start();
    let licences: Vec<_> =
        [JANE, "JANE.DOE@EXAMPLE.COM", JANE, JANE, "sam"].map(|owner| issue(&registrar, owner)).into();
    registrar.post(&format!("{}/suspend", path(&licences[1])), &json!({})).expect(200);
    registrar.patch(&path(&licences[2]), &json!({ "owner": "sam", "metadata": { "name": "Name of sam" } })).expect(200);
    registrar.patch(&path(&licences[2]), &json!({ "metadata": { "order": "order of sam" } })).expect(200);
    registrar.delete(&path(&licences[3])).expect(204);
    (registrar, licences)
}

#[test]
fn a_forgotten_owner_is_nowhere_in_the_database() {
    for (is_old, limit) in [(false, 500), (false, 1), (true, 500), (true, 2)] {
        let (registrar, licences) = with_owners();
        if is_old {
            as_of_an_earlier_version(&registrar);
        }
        assert_eq!(first_fault(&registrar), None);
        assert!(is_in_database(&registrar, JANE));
        let head = events(&registrar, 100).1;

        let options = json!({ "owner": "jane.doe@Example.com", "limit": limit });
        let mut dry = options.clone();
        dry["dryRun"] = true.into();
        let expected = [2, 7, 0];
        assert_eq!(forget(&registrar, &dry), expected);
        assert_eq!(events(&registrar, 100).1, head, "a dry run changes nothing");
        assert_eq!(forget(&registrar, &options), expected);

        assert!(!is_in_database(&registrar, JANE), "old: {is_old}");
        assert!(!is_in_database(&registrar, "Name of jane"), "old: {is_old}");
        assert!(is_in_database(&registrar, "order of sam"));
        assert_eq!(first_fault(&registrar), None, "old: {is_old}");
        check_audit(&registrar);
        for licence in &licences[..2] {
            let shown = registrar.get(&path(licence)).expect(200);
            assert_eq!((shown.get("owner"), &shown["metadata"]), (None, &json!({})));
        }
        assert_eq!(registrar.get(&path(&licences[2])).expect(200)["owner"], "sam");
        assert_eq!(registrar.get(&path(&licences[4])).expect(200)["metadata"]["name"], "Name of sam");
        let found = registrar.get("/api/v1/licenses?search=jane").expect(200);
        assert_eq!(found["items"], json!([]));
        // The licences go on working.
        for (licence, code) in licences.iter().zip(["VALID", "SUSPENDED", "VALID", "REVOKED", "VALID"]) {
            assert_eq!(registrar.holder("validate", &json!({ "key": licence["key"] }))["code"], code);
        }
        let told = events(&registrar, 100).0;
        let last = told.iter().rfind(|event| event["subject"] == licences[0]["id"]).unwrap();
        assert_eq!((&last["action"], last["before"].get("owner")), (&json!("license.forgotten"), None));
        assert_eq!(last["after"], registrar.get(&path(&licences[0])).expect(200), "the last event says what is now");
        assert_eq!(forget(&registrar, &options), [0, 0, 0], "nothing is left to forget");
    }
}

#[test]
fn licences_of_a_forgotten_owner_are_deleted_on_request() {
    let (registrar, licences) = with_owners();
    assert_eq!(forget(&registrar, &json!({ "owner": JANE, "delete": true })), [2, 7, 0]);
    assert!(!is_in_database(&registrar, JANE));
    for (licence, code) in licences.iter().zip(["REVOKED", "REVOKED", "VALID", "REVOKED", "VALID"]) {
        assert_eq!(registrar.holder("validate", &json!({ "key": licence["key"] }))["code"], code);
    }
    registrar.get(&path(&licences[0])).problem(404, "NOT_FOUND");
    assert_eq!(first_fault(&registrar), None);
    check_audit(&registrar);
}

#[test]
fn an_erased_answer_is_not_given_and_its_request_not_done_again() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let ask = |key: &str, target: &str, body: Value| {
        registrar.request("POST", target).header("idempotency-key", key).json(&body).send()
    };
    let order = |owner: &str| json!({ "product": "acme", "plan": "pro", "owner": owner });
    ask("jane", "/api/v1/licenses", order(JANE)).expect(201);
    ask("sam", "/api/v1/licenses", order("sam")).expect(201);
    let batch = json!({ "product": "acme", "plan": "pro", "owner": JANE, "count": 3 });
    ask("batch", "/api/v1/licenses/batch", batch.clone()).expect(201);
    assert_eq!(forget(&registrar, &json!({ "owner": JANE, "dryRun": true })), [4, 4, 2]);
    assert_eq!(forget(&registrar, &json!({ "owner": JANE })), [4, 4, 2]);
    ask("jane", "/api/v1/licenses", order(JANE)).problem(422, "IDEMPOTENCY_KEY_REUSED");
    ask("batch", "/api/v1/licenses/batch", batch).problem(422, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(ask("sam", "/api/v1/licenses", order("sam")).header("idempotency-replayed"), Some("true"));
    assert_eq!(registrar.get("/api/v1/stats").expect(200)["licenses"]["active"], 5);
}

#[test]
fn an_erasure_that_is_not_recorded_is_found() {
    for (tampering, expected) in [
        ("UPDATE events SET personal = NULL, salt = NULL WHERE number = 2", 2),
        ("UPDATE events SET personal = NULL, salt = NULL, erased = 11 WHERE number = 2", 2),
        ("UPDATE events SET personal = replace(personal, 'Jane', 'Joan') WHERE number = 2", 2),
        ("UPDATE events SET salt = randomblob(16) WHERE number = 3", 3),
        ("UPDATE events SET commitment = zeroblob(32) WHERE number = 3", 3),
        // Whoever could erase and record it would have to write the chain from there.
        (
            "UPDATE events SET erased = 11, after = '{}', personal = NULL, commitment = NULL, salt = NULL WHERE number = 4",
            4,
        ),
    ] {
        let (registrar, _) = with_owners();
        registrar.database().execute_batch(tampering).unwrap();
        assert_eq!(first_fault(&registrar), Some(expected), "{tampering}");
        assert!(faults(&registrar, 500).contains(&("CHAIN".into(), "audit_head".into())), "{tampering}");
    }
}

#[test]
fn what_an_erasure_left_cannot_be_changed() {
    for is_old in [false, true] {
        for tampering in [
            "UPDATE events SET after = replace(after, 'pro', 'max') WHERE number = 2",
            "UPDATE events SET actor = 'host' WHERE number = 2",
            "UPDATE events SET after = NULL WHERE number = 2",
        ] {
            let (registrar, _) = with_owners();
            if is_old {
                as_of_an_earlier_version(&registrar);
            }
            forget(&registrar, &json!({ "owner": JANE }));
            assert_eq!(first_fault(&registrar), None);
            registrar.database().execute_batch(tampering).unwrap();
            assert_eq!(first_fault(&registrar), Some(2), "old: {is_old}, {tampering}");
        }
    }
}

#[test]
fn an_erasure_is_all_or_nothing_after_any_cut() {
    for fault in [Fault::AnswerLost, Fault::NotMade] {
        for calls in 1.. {
            let (registrar, _) = with_owners();
            registrar.world().cut_off = Some((calls, fault));
            let status = registrar.post("/api/v1/owners/forget", &json!({ "owner": JANE })).status;
            registrar.world().cut_off = None;
            assert_eq!(first_fault(&registrar), None, "{calls}");
            let left = forget(&registrar, &json!({ "owner": JANE }));
            assert!([[2, 7, 0], [0, 0, 0]].contains(&left), "{calls}: {status}, {left:?}");
            assert!(!is_in_database(&registrar, JANE));
            if status == 200 {
                assert_eq!(left, [0, 0, 0]);
                break;
            }
        }
    }
}

#[test]
fn a_request_to_forget_is_read_strictly() {
    let (registrar, _) = with_owners();
    for (body, field) in [
        (json!({}), "owner"),
        (json!({ "owner": "" }), "owner"),
        (json!({ "owner": JANE, "limit": 0 }), "limit"),
        (json!({ "owner": JANE, "limit": 501 }), "limit"),
        (json!({ "owner": JANE, "cursor": "x" }), "cursor"),
        (json!({ "owner": JANE, "delete": "yes" }), "delete"),
        (json!({ "owner": JANE, "more": 1 }), "more"),
    ] {
        assert_eq!(registrar.post("/api/v1/owners/forget", &body).problem(400, "INVALID_REQUEST")["field"], field);
    }
    assert_eq!(forget(&registrar, &json!({ "owner": "nobody" })), [0, 0, 0]);
}
