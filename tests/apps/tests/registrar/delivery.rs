//! Every committed change reaches the store, once, and no older record replaces a newer one.

use std::thread;

use countersign::license::Status;
use countersign_host::bindings::sql::Error;
use countersign_host::bindings::store::Entry;
use serde_json::{Value, json};

use countersign_app_tests::{Answer, Fault, Registrar};

fn verb(registrar: &Registrar, license: &Value, verb: &str) -> Value {
    let path = format!("/api/v1/licenses/{}/{verb}", license["id"].as_str().unwrap());
    registrar.request("POST", &path).send().expect(200)
}

fn key(license: &Value) -> &str {
    license["key"].as_str().unwrap()
}

/// The number of rows in the outbox.
fn depth(registrar: &Registrar) -> i64 {
    registrar.database().query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_write_reaches_the_store_before_its_answer() {
    let registrar = Registrar::start();
    let license = registrar.issue();
    assert_eq!(license["propagated"], true);
    assert_eq!(depth(&registrar), 0);
    let stored = registrar.stored(key(&license)).unwrap();
    assert_eq!((stored.id.as_str(), stored.generation), (license["id"].as_str().unwrap(), 1));
    for (name, status, generation) in [("suspend", Status::Suspended, 2), ("resume", Status::Active, 3)] {
        assert_eq!(verb(&registrar, &license, name)["propagated"], true);
        let stored = registrar.stored(key(&license)).unwrap();
        assert_eq!((stored.status, stored.generation), (status, generation));
    }
    let new = verb(&registrar, &license, "rotate-key");
    assert_eq!(registrar.stored(key(&license)).unwrap().status, Status::Revoked);
    assert_eq!(registrar.stored(key(&new)).unwrap().status, Status::Active);
    registrar.delete(&format!("/api/v1/licenses/{}", license["id"].as_str().unwrap())).expect(204);
    for license in [&license, &new] {
        assert_eq!(registrar.stored(key(license)).unwrap().status, Status::Revoked);
    }
}

#[test]
fn an_unavailable_store_gets_the_change_later() {
    let registrar = Registrar::start();
    let first = registrar.issue();
    registrar.world().is_store_down = true;
    let issue = || {
        let asking = registrar.request("POST", "/api/v1/licenses").header("idempotency-key", "one");
        asking.json(&json!({ "product": "acme", "plan": "pro" })).send()
    };
    let second = issue();
    let answer = second.body.clone();
    assert_eq!(second.expect(201)["propagated"], false);
    assert_eq!(verb(&registrar, &first, "suspend")["propagated"], false);
    assert_eq!(
        registrar.request("POST", "/api/v1/outbox/deliveries").send().expect(200),
        json!({ "delivered": 0, "left": 2 })
    );
    registrar.advance(60);
    assert_eq!(registrar.get("/api/v1/stats").expect(200)["outbox"], json!({ "depth": 2, "oldestSeconds": 60 }));
    assert_eq!(issue().expect(201), answer, "a retry gets the same answer until the record is delivered");
    assert!(registrar.stored(key(&answer)).is_none());
    assert_eq!(registrar.stored(key(&first)).unwrap().status, Status::Active);

    registrar.world().is_store_down = false;
    // Any later write delivers what is queued.
    registrar.token("reader");
    assert_eq!(depth(&registrar), 0);
    assert_eq!(registrar.stored(key(&answer)).unwrap().status, Status::Active);
    assert_eq!(registrar.stored(key(&first)).unwrap().status, Status::Suspended);
    let mut expected = answer;
    expected["propagated"] = true.into();
    assert_eq!(issue().expect(201), expected, "then `propagated` changes, and nothing else");
    assert_eq!(
        registrar.request("POST", "/api/v1/outbox/deliveries").send().expect(200),
        json!({ "delivered": 0, "left": 0 })
    );
}

#[test]
fn one_request_delivers_the_whole_outbox() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    registrar.world().is_store_down = true;
    let batch = json!({ "product": "acme", "plan": "pro", "count": 100 });
    let made = registrar.post("/api/v1/licenses/batch", &batch).expect(201);
    assert_eq!(made["propagated"], false);
    registrar.world().is_store_down = false;
    registrar.token("reader");
    assert_eq!(depth(&registrar), 84);
    let delivered = registrar.request("POST", "/api/v1/outbox/deliveries").send().expect(200);
    assert_eq!(delivered, json!({ "delivered": 84, "left": 0 }));
    for license in made["items"].as_array().unwrap() {
        assert!(registrar.stored(key(license)).is_some());
    }
    assert_eq!(registrar.post("/api/v1/licenses/batch", &batch).expect(201)["propagated"], true);
}

#[test]
fn an_older_record_never_overwrites_a_newer_one() {
    let registrar = Registrar::start();
    let license = registrar.issue();
    let store_key = countersign::key::read(key(&license)).unwrap().store_key();
    let old = registrar.world().entries[&store_key].value.clone();
    verb(&registrar, &license, "suspend");
    // A leftover row, as of a process that was killed between delivering and deleting it.
    let left =
        "INSERT INTO outbox (change, license, key, generation, record, queued_at) VALUES (x'00', ?1, ?2, 1, ?3, 0)";
    let record = String::from_utf8(old).unwrap();
    registrar.database().execute(left, (license["id"].as_str(), &store_key, &record)).unwrap();
    assert_eq!(
        registrar.request("POST", "/api/v1/outbox/deliveries").send().expect(200),
        json!({ "delivered": 1, "left": 0 })
    );
    assert_eq!(registrar.stored(key(&license)).unwrap().status, Status::Suspended);
    // A damaged value is overwritten.
    let (value, version) = (b"damaged".to_vec(), 1_000);
    registrar.world().entries.insert(store_key, Entry { value, version });
    assert_eq!(verb(&registrar, &license, "resume")["propagated"], true);
    assert_eq!(registrar.stored(key(&license)).unwrap().status, Status::Active);
}

#[test]
fn an_undeliverable_record_holds_back_only_its_own_licence() {
    let registrar = Registrar::start();
    let (stuck, free) = (registrar.issue(), registrar.issue());
    let store_key = countersign::key::read(key(&stuck)).unwrap().store_key();
    registrar.world().too_large.insert(store_key);
    assert_eq!(verb(&registrar, &stuck, "suspend")["propagated"], false);
    assert_eq!(verb(&registrar, &free, "suspend")["propagated"], true);
    let new = verb(&registrar, &stuck, "rotate-key");
    assert_eq!(new["propagated"], false);
    assert!(registrar.stored(key(&new)).is_none(), "delivered before an older record of the same licence");
    assert_eq!(depth(&registrar), 3);
    registrar.world().too_large.clear();
    assert_eq!(verb(&registrar, &free, "resume")["propagated"], true);
    assert_eq!(depth(&registrar), 0);
    assert_eq!(registrar.stored(key(&stuck)).unwrap().status, Status::Revoked);
    assert_eq!(registrar.stored(key(&new)).unwrap().status, Status::Suspended);
}

#[test]
fn a_fault_after_the_commit_does_not_fail_the_request() {
    let registrar = Registrar::start();
    let license = registrar.issue();
    registrar.world().calls = 0;
    verb(&registrar, &license, "suspend");
    // The last seven calls deliver: one reads the outbox, two reach the store, one deletes the row,
    // two have the store remember the event, and one looks for data that is too old.
    let of_sql = registrar.world().calls - 5;
    for (fault, propagated) in [(of_sql - 2, false), (of_sql - 1, true)] {
        registrar.world().sql_faults = (0..fault).map(|_| None).chain([Some(Error::Busy)]).collect();
        assert_eq!(verb(&registrar, &license, "resume")["propagated"], propagated);
        assert_eq!(depth(&registrar), 1);
        assert_eq!(verb(&registrar, &license, "suspend")["propagated"], true);
        assert_eq!(depth(&registrar), 0);
        assert_eq!(registrar.stored(key(&license)).unwrap().status, Status::Suspended);
    }
}

/// Cuts the request off at each call, before or after the call takes effect, as a kill would.
#[test]
fn a_retry_after_any_cut_has_one_effect_that_reaches_the_store() {
    let issue = |registrar: &Registrar| -> Answer {
        let asking = registrar.request("POST", "/api/v1/licenses").header("idempotency-key", "one");
        asking.json(&json!({ "product": "acme", "plan": "pro" })).send()
    };
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    registrar.world().calls = 0;
    issue(&registrar).expect(201);
    let calls = registrar.world().calls;
    assert!(calls > 8, "{calls}");
    for end in 1..=calls {
        for fault in [Fault::NotMade, Fault::AnswerLost] {
            let registrar = Registrar::start();
            registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
            registrar.world().cut_off = Some((end, fault));
            let cut_off = issue(&registrar);
            registrar.world().cut_off = None;

            let context = format!("{fault:?} in call {end} of {calls}");
            let retried = issue(&registrar);
            assert_eq!(retried.status, 201, "{context}: {retried:?}");
            if cut_off.status == 201 {
                assert_eq!(cut_off.body["key"], retried.body["key"], "{context}");
            }
            let listed = registrar.get("/api/v1/licenses").expect(200);
            assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{context}");
            assert_eq!(listed["items"][0]["id"], retried.body["id"], "{context}");
            registrar.request("POST", "/api/v1/outbox/deliveries").send().expect(200);
            assert_eq!(registrar.world().licenses().count(), 1, "{context}");
            assert_eq!(registrar.stored(key(&retried.body)).unwrap().generation, 1, "{context}");
            assert_eq!(registrar.get("/api/v1/events").expect(200)["head"]["number"], 2, "{context}");
        }
    }
}

#[test]
fn concurrent_deliveries_leave_the_latest_record() {
    let registrar = Registrar::start();
    let license = registrar.issue();
    let path = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    thread::scope(|scope| {
        for client in 0..4 {
            let (registrar, path) = (&registrar, &path);
            scope.spawn(move || {
                for round in 0..10 {
                    let patch = json!({ "graceSeconds": 100 * client + round });
                    registrar.patch(path, &patch).expect(200);
                    registrar.request("POST", "/api/v1/outbox/deliveries").send().expect(200);
                }
            });
        }
    });
    let last = registrar.get(&path).expect(200);
    let stored = registrar.stored(key(&license)).unwrap();
    assert_eq!(
        (json!(stored.generation), json!(stored.grace_seconds)),
        (last["generation"].clone(), last["graceSeconds"].clone())
    );
    assert_eq!(depth(&registrar), 0);
}
