//! Reconciling brings the store to the database's records; adopting brings the store's to the
//! database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use countersign::key;
use countersign::license::License;
use countersign_host::bindings::store::Entry;
use serde_json::{Value, json};

use super::{code, issue, path, policy, start};
use countersign_app_tests::{Fault, Registrar};

/// Reconciles page by page. Returns how many keys were checked, repaired and unknown.
fn reconcile(registrar: &Registrar, dry_run: bool, limit: u32) -> (u64, u64, u64) {
    let (mut checked, mut repaired, mut unknown) = (0, 0, 0);
    let mut body = json!({ "limit": limit, "dryRun": dry_run });
    loop {
        let report = registrar.post("/api/v1/reconcile", &body).expect(200);
        let number = |name: &str| report[name].as_u64().unwrap_or_default();
        // The pages over the store's own list follow, and count the same keys again.
        checked += if report.get("unknown").is_some() { 0 } else { number("checked") };
        repaired += number("repaired");
        unknown += number("unknown");
        match report["next"].as_str() {
            Some(next) => body["cursor"] = next.into(),
            None => return (checked, repaired, unknown),
        }
    }
}

/// Active, suspended, rotated and deleted licences: six keys, each with the code its holder gets.
fn varied(registrar: &Registrar) -> Vec<(Value, &'static str)> {
    let active = issue(registrar, json!({ "domains": ["example.com"] }));
    let suspended = issue(registrar, json!({}));
    registrar.post(&format!("{}/suspend", path(&suspended)), &json!({})).expect(200);
    let rotated = issue(registrar, json!({}));
    let new = registrar.post(&format!("{}/rotate-key", path(&rotated)), &json!({})).expect(200);
    let deleted = issue(registrar, json!({}));
    registrar.delete(&path(&deleted)).expect(204);
    let active_too = issue(registrar, json!({}));
    vec![
        (active["key"].clone(), "DOMAIN_REQUIRED"),
        (suspended["key"].clone(), "SUSPENDED"),
        (rotated["key"].clone(), "REVOKED"),
        (new["key"].clone(), "VALID"),
        (deleted["key"].clone(), "REVOKED"),
        (active_too["key"].clone(), "VALID"),
    ]
}

fn check(registrar: &Registrar, keys: &[(Value, &str)]) {
    for (key, expected) in keys {
        assert_eq!(code(registrar, key), *expected);
    }
}

#[test]
fn a_complete_store_is_left_alone() {
    let registrar = start();
    let keys = varied(&registrar);
    let puts = registrar.world().puts;
    assert_eq!(reconcile(&registrar, false, 500), (6, 0, 0));
    assert_eq!(reconcile(&registrar, false, 4), (6, 0, 0));
    assert_eq!(registrar.world().puts, puts);
    check(&registrar, &keys);
}

#[test]
fn an_emptied_store_is_refilled() {
    let registrar = start();
    let keys = varied(&registrar);
    registrar.world().entries.clear();
    assert_eq!(reconcile(&registrar, true, 500), (6, 6, 0));
    assert!(registrar.world().entries.is_empty());
    assert_eq!(reconcile(&registrar, false, 4), (6, 6, 0));
    check(&registrar, &keys);
    assert_eq!(reconcile(&registrar, false, 500), (6, 0, 0));
}

/// Sums over all steps of a reconciliation, and all that they list.
fn reconcile_all(registrar: &Registrar, options: &Value) -> (BTreeMap<String, u64>, Vec<Value>) {
    let (mut sums, mut items) = (BTreeMap::new(), Vec::new());
    let mut body = options.clone();
    loop {
        let mut report = registrar.post("/api/v1/reconcile", &body).expect(200);
        items.append(report["items"].as_array_mut().unwrap());
        for (name, count) in report.as_object().unwrap() {
            *sums.entry(name.clone()).or_default() += count.as_u64().unwrap_or_default();
        }
        match report["next"].as_str() {
            Some(next) => body["cursor"] = next.into(),
            None => break,
        }
    }
    sums.retain(|_, count| *count > 0);
    sums.remove("checked");
    (sums, items)
}

#[test]
fn older_and_missing_records_are_repaired_and_others_on_request() {
    let registrar = start();
    let keys = varied(&registrar);
    // An older generation, another value of the same one, a newer one, and damaged values.
    let changes: [fn(&str) -> String; 6] = [
        |record| record.replace("\"generation\":1", "\"generation\":0").replace("active", "revoked"),
        |record| record.replace("\"plan\":\"pro\"", "\"plan\":\"max\""),
        |record| record.replace("\"generation\":2", "\"generation\":900").replace("pro", "max"),
        |_| "no record".into(),
        |record| record.replace("\"status\":\"revoked\"", "\"status\":\"active\""),
        |_| String::new(),
    ];
    let entries: Vec<String> = registrar.world().licenses().map(|(key, _)| key.clone()).collect();
    for rotation in 0..changes.len() {
        let (mut expected, mut left) = (0, 0);
        for (number, key) in entries.iter().enumerate() {
            let mut world = registrar.world();
            let entry = world.entries.get_mut(key).unwrap();
            let before = License::from_json(&entry.value).unwrap();
            let text = changes[(number + rotation) % changes.len()](&before.to_json());
            let is_retired = before == before.retired();
            entry.value = text.into_bytes();
            entry.version += 1_000_000;
            let after = License::from_json(&entry.value);
            expected += u64::from(after.as_ref() != Ok(&before));
            let is_later = after.is_ok_and(|after| after != before && after.generation >= before.generation);
            left += u64::from(is_later && !is_retired);
        }
        let (dry, items) = reconcile_all(&registrar, &json!({ "dryRun": true }));
        let sum = |sums: &BTreeMap<String, u64>, name: &str| sums.get(name).copied().unwrap_or_default();
        assert_eq!((sum(&dry, "later"), items.len() as u64), (left, left), "rotation {rotation}");
        assert_eq!(sum(&dry, "repaired"), expected - left, "rotation {rotation}");
        let (done, _) = reconcile_all(&registrar, &json!({ "drop": true }));
        assert_eq!((sum(&done, "repaired"), sum(&done, "dropped")), (expected - left, left), "rotation {rotation}");
        check(&registrar, &keys);
        assert_eq!(reconcile_all(&registrar, &json!({})), (sums([]), vec![]), "rotation {rotation}");
    }
    let page = registrar.get("/api/v1/licenses").expect(200);
    for licence in page["items"].as_array().unwrap() {
        assert_eq!(licence["plan"], "pro");
    }
}

/// Restores the database from a copy.
fn restore(registrar: &Registrar, copy: &Path) {
    let database = registrar.database();
    database.execute("ATTACH ?1 AS copy", [copy.to_str().unwrap()]).unwrap();
    let tables: String = database
        .query_row(
            "SELECT group_concat('DELETE FROM main.' || name || '; INSERT INTO main.' || name || ' SELECT * FROM copy.' || name, ';')
             FROM copy.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    database.execute_batch(&format!("BEGIN; {tables}; COMMIT")).unwrap();
}

/// A change that the database forgets: what the vendor does to a licence, what its holder gets
/// before and after, and how a reconciliation names it.
struct Forgotten {
    name: &'static str,
    change: fn(&Registrar, &Value) -> Value,
    before: &'static str,
    after: &'static str,
    found: &'static [&'static str],
}

fn verb(registrar: &Registrar, licence: &Value, verb: &str, body: Value) -> Value {
    registrar.post(&format!("{}/{verb}", path(licence)), &body).expect(200)
}

const FORGOTTEN: [Forgotten; 9] = [
    Forgotten {
        name: "a suspension",
        change: |registrar, licence| verb(registrar, licence, "suspend", json!({})),
        before: "VALID",
        after: "SUSPENDED",
        found: &["later"],
    },
    Forgotten {
        name: "a revocation",
        change: |registrar, licence| verb(registrar, licence, "revoke", json!({})),
        before: "VALID",
        after: "REVOKED",
        found: &["later"],
    },
    Forgotten {
        name: "a renewal",
        change: |registrar, licence| {
            let renewed = verb(registrar, licence, "renew", json!({ "expiresAt": "2040-01-01T00:00:00Z" }));
            registrar.advance(200_000);
            renewed
        },
        before: "VALID",
        after: "VALID",
        found: &["later"],
    },
    Forgotten {
        name: "other terms",
        change: |registrar, licence| registrar.patch(&path(licence), &json!({ "requires": ["domain"] })).expect(200),
        before: "VALID",
        after: "DOMAIN_REQUIRED",
        found: &["later"],
    },
    Forgotten {
        name: "a domain",
        change: |registrar, licence| verb(registrar, licence, "domains", json!({ "domains": ["example.com"] })),
        before: "VALID",
        after: "DOMAIN_REQUIRED",
        found: &["later"],
    },
    Forgotten {
        name: "several changes",
        change: |registrar, licence| {
            verb(registrar, licence, "suspend", json!({}));
            verb(registrar, licence, "resume", json!({}));
            verb(registrar, licence, "suspend", json!({}))
        },
        before: "VALID",
        after: "SUSPENDED",
        found: &["later"],
    },
    Forgotten {
        name: "a deletion",
        change: |registrar, licence| {
            registrar.delete(&path(licence)).expect(204);
            Value::Null
        },
        before: "VALID",
        after: "REVOKED",
        found: &["later"],
    },
    Forgotten {
        name: "a new key",
        change: |registrar, licence| verb(registrar, licence, "rotate-key", json!({})),
        before: "VALID",
        after: "REVOKED",
        found: &["later", "rotated"],
    },
    Forgotten {
        name: "a new key, twice, and a suspension",
        change: |registrar, licence| {
            verb(registrar, licence, "rotate-key", json!({}));
            let new = verb(registrar, licence, "rotate-key", json!({}));
            verb(registrar, licence, "suspend", json!({}));
            new
        },
        before: "VALID",
        after: "REVOKED",
        found: &["later", "rotated"],
    },
];

/// A registrar whose database was restored from a copy older than the change: the licence, and what
/// the change was answered.
fn forget(forgotten: &Forgotten) -> (Registrar, Value, Value) {
    let registrar = start();
    let licence = issue(&registrar, json!({ "features": ["a"], "expiresAt": "2026-11-24T00:00:00Z" }));
    let copy = registrar.directory().join("copy.db");
    registrar.database().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    assert_eq!(code(&registrar, &licence["key"]), forgotten.before, "{}", forgotten.name);
    let changed = (forgotten.change)(&registrar, &licence);
    restore(&registrar, &copy);
    (registrar, licence, changed)
}

/// The events tell of all that happened.
fn check_audit(registrar: &Registrar) {
    registrar.post("/api/v1/audit/accept", &json!({})).expect(200);
    assert_eq!(crate::audit::faults(registrar, 500), []);
}

#[test]
fn a_forgotten_change_is_listed_and_nothing_undoes_it_unasked() {
    for forgotten in &FORGOTTEN {
        let (registrar, licence, changed) = forget(forgotten);
        let name = forgotten.name;
        let licences = |registrar: &Registrar| {
            let mut values = values(registrar);
            values.retain(|key, _| key.starts_with("license:"));
            values
        };
        let before = licences(&registrar);
        for options in
            [json!({ "dryRun": true }), json!({}), json!({ "license": licence["id"] }), json!({ "limit": 1 })]
        {
            let (sums, items) = reconcile_all(&registrar, &options);
            assert_eq!(sums.get("later"), Some(&1), "{name}: {sums:?}");
            assert_eq!(sums.get("repaired"), None, "{name}");
            let found: Vec<_> = items.iter().map(|item| item["found"].as_str().unwrap()).collect();
            assert_eq!(found, forgotten.found, "{name}");
            for item in &items {
                assert_eq!(item["id"], licence["id"], "{name}");
                assert_ne!(item["database"], item["store"], "{name}");
            }
        }
        let other = issue(&registrar, json!({}));
        let (sums, items) = reconcile_all(&registrar, &json!({ "license": other["id"] }));
        assert_eq!((sums, items), (self::sums([]), vec![]), "{name}: that is another licence");
        registrar.world().entries.remove(&key::read(other["key"].as_str().unwrap()).unwrap().store_key());

        // Nor do the vendor's own changes, which the store gets once it was decided.
        let now = registrar.world().now;
        for step in 0..4 {
            let patch = json!({ "features": [format!("feature-{step}")] });
            let patched = registrar.patch(&path(&licence), &patch).expect(200);
            assert_eq!(patched["propagated"], false, "{name}");
            registrar.advance(1);
        }
        registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200);
        registrar.world().now = now;
        let after = values(&registrar);
        assert!(before.iter().all(|(key, value)| after[key] == *value), "{name}");
        assert_eq!(code(&registrar, &licence["key"]), forgotten.after, "{name}");
        drop(changed);
    }
}

#[test]
fn a_forgotten_change_is_adopted() {
    for (forgotten, is_changed_since) in FORGOTTEN.iter().flat_map(|forgotten| [(forgotten, false), (forgotten, true)])
    {
        let (registrar, licence, changed) = forget(forgotten);
        let name = forgotten.name;
        if is_changed_since {
            for feature in ["b", "c", "d"] {
                registrar.patch(&path(&licence), &json!({ "features": [feature] })).expect(200);
            }
        }
        let (dry, _) = reconcile_all(&registrar, &json!({ "adopt": true, "dryRun": true }));
        let (done, _) = reconcile_all(&registrar, &json!({ "adopt": true, "license": licence["id"], "limit": 1 }));
        assert_eq!(dry, done, "{name}");
        assert_eq!(done.get("adopted"), Some(&(forgotten.found.len() as u64)), "{name}");
        assert_eq!(code(&registrar, &licence["key"]), forgotten.after, "{name}");
        let shown = registrar.get(&path(&licence)).expect(200);
        match &changed {
            Value::Null => assert_eq!(shown["status"], "revoked", "{name}: the vendor may delete it again"),
            changed => {
                let recorded = ["plan", "expiresAt", "features", "domains", "requires", "hint", "issuedAt"];
                if !name.contains("revocation") {
                    for member in recorded {
                        assert_eq!(shown[member], changed[member], "{name}: {member}");
                    }
                }
                if let Some(key) = changed["key"].as_str() {
                    let expected = if name.contains("suspension") { "SUSPENDED" } else { "VALID" };
                    assert_eq!(code(&registrar, &key.into()), expected, "{name}");
                    let found = registrar.post("/api/v1/licenses/lookup", &json!({ "key": key })).expect(200);
                    assert_eq!(found["id"], licence["id"], "{name}");
                } else {
                    assert_eq!(shown["status"], changed["status"], "{name}");
                }
            }
        }
        let (again, items) = reconcile_all(&registrar, &json!({ "adopt": true }));
        assert_eq!((again.get("adopted"), again.get("later"), items), (None, None, vec![]), "{name}");
        // It behaves as any other licence.
        if shown["status"] == "active" {
            assert_eq!(verb(&registrar, &licence, "suspend", json!({}))["propagated"], true, "{name}");
        }
        assert_eq!(registrar.get("/api/v1/stats").expect(200)["outbox"]["depth"], 0, "{name}");
        check_audit(&registrar);
    }
}

#[test]
fn a_forgotten_change_is_dropped() {
    for (forgotten, is_changed_since) in FORGOTTEN.iter().flat_map(|forgotten| [(forgotten, false), (forgotten, true)])
    {
        let (registrar, licence, changed) = forget(forgotten);
        let name = forgotten.name;
        registrar.world().now = countersign_app_tests::BEGIN;
        if is_changed_since {
            for plan in ["b", "c", "d"] {
                registrar.patch(&path(&licence), &json!({ "plan": plan })).expect(200);
            }
        }
        let due = registrar.get(&path(&licence)).expect(200);
        let (dry, _) = reconcile_all(&registrar, &json!({ "drop": true, "dryRun": true }));
        let (done, _) = reconcile_all(&registrar, &json!({ "drop": true }));
        assert_eq!(dry, done, "{name}");
        assert_eq!(done.get("dropped"), Some(&(forgotten.found.len() as u64)), "{name}");
        assert_eq!(code(&registrar, &licence["key"]), forgotten.before, "{name}");
        let stored = registrar.stored(licence["key"].as_str().unwrap()).unwrap();
        assert_eq!((stored.plan.as_str(), stored.status.as_str()), (due["plan"].as_str().unwrap(), "active"), "{name}");
        if let Some(key) = changed["key"].as_str() {
            assert_eq!(code(&registrar, &key.into()), "REVOKED", "{name}");
        }
        let (again, items) = reconcile_all(&registrar, &json!({ "drop": true }));
        assert_eq!((again.get("dropped"), again.get("repaired"), items), (None, None, vec![]), "{name}");
        assert_eq!(verb(&registrar, &licence, "suspend", json!({}))["propagated"], true, "{name}");
        assert_eq!(registrar.get("/api/v1/stats").expect(200)["outbox"]["depth"], 0, "{name}");
        check_audit(&registrar);
    }
}

/// The number of rows that wait for the store.
fn waiting(registrar: &Registrar) -> Value {
    registrar.get("/api/v1/stats").expect(200)["outbox"]["depth"].take()
}

#[test]
fn a_revocation_reaches_the_store_whatever_the_database_forgot() {
    let cases = FORGOTTEN.iter().flat_map(|forgotten| [(forgotten, false), (forgotten, true)]);
    for ((forgotten, is_changed_since), is_store_down) in
        cases.flat_map(|forgotten| [(forgotten, false), (forgotten, true)])
    {
        let (registrar, licence, changed) = forget(forgotten);
        let name = format!("{}, {is_changed_since}, {is_store_down}", forgotten.name);
        if is_changed_since {
            for feature in ["b", "c", "d"] {
                registrar.patch(&path(&licence), &json!({ "features": [feature] })).expect(200);
            }
        }
        registrar.world().is_store_down = is_store_down;
        let revoked = verb(&registrar, &licence, "revoke", json!({}));
        registrar.world().is_store_down = false;
        registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200);
        assert_eq!(code(&registrar, &licence["key"]), "REVOKED", "{name}");
        // In place of a tombstone another key may be in use, of which the vendor must learn.
        let is_ended = ["a deletion", "a new key"].iter().any(|other| forgotten.name.starts_with(other));
        assert_eq!(waiting(&registrar) == 0, !is_ended, "{name}");
        assert_eq!(revoked["propagated"], !is_ended && !is_store_down, "{name}");

        if !is_ended {
            registrar.delete(&path(&licence)).expect(204);
            let stored = registrar.stored(licence["key"].as_str().unwrap()).unwrap();
            assert_eq!((stored.retired(), waiting(&registrar)), (stored, json!(0)), "{name}");
        }
        reconcile_all(&registrar, &json!({ "adopt": true }));
        for key in [&licence["key"], &changed["key"]].into_iter().filter(|key| key.is_string()) {
            assert_eq!(code(&registrar, key), "REVOKED", "{name}: revoking is final");
        }
        assert_eq!(waiting(&registrar), 0, "{name}");
        check_audit(&registrar);
    }
}

#[test]
fn a_deletion_reaches_the_store_whatever_the_database_forgot() {
    for forgotten in &FORGOTTEN {
        let (registrar, licence, _) = forget(forgotten);
        let name = forgotten.name;
        registrar.patch(&path(&licence), &json!({ "features": ["b"] })).expect(200);
        registrar.delete(&path(&licence)).expect(204);
        assert_eq!(code(&registrar, &licence["key"]), "REVOKED", "{name}");
        let stored = registrar.stored(licence["key"].as_str().unwrap()).unwrap();
        assert_eq!(stored, stored.retired(), "{name}");
        reconcile_all(&registrar, &json!({ "drop": true }));
        assert_eq!((code(&registrar, &licence["key"]), waiting(&registrar)), ("REVOKED".into(), json!(0)), "{name}");
        check_audit(&registrar);
    }
}

#[test]
fn a_new_key_undoes_nothing_that_the_database_forgot_until_it_is_revoked() {
    let (registrar, licence, _) = forget(&FORGOTTEN[0]);
    let rotated = verb(&registrar, &licence, "rotate-key", json!({}));
    assert_eq!(rotated["propagated"], false);
    let codes = || [&licence["key"], &rotated["key"]].map(|key| code(&registrar, key));
    assert_eq!(codes(), ["SUSPENDED", "NOT_FOUND"]);
    assert_eq!(verb(&registrar, &licence, "revoke", json!({}))["propagated"], true);
    assert_eq!(codes(), ["REVOKED", "REVOKED"]);
    assert_eq!(waiting(&registrar), 0);
    check_audit(&registrar);
}

#[test]
fn a_revocation_wins_over_a_record_that_none_can_follow() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    let store_key = key::read(licence["key"].as_str().unwrap()).unwrap().store_key();
    let record = registrar.stored(licence["key"].as_str().unwrap()).unwrap();
    let forged = License { generation: u64::MAX, ..record };
    registrar.world().write(&store_key, forged.to_json().into_bytes());
    assert_eq!(verb(&registrar, &licence, "suspend", json!({}))["propagated"], false);
    assert_eq!(code(&registrar, &licence["key"]), "VALID");
    assert_eq!(verb(&registrar, &licence, "revoke", json!({}))["propagated"], true);
    assert_eq!((code(&registrar, &licence["key"]), waiting(&registrar)), ("REVOKED".into(), json!(0)));
    assert_eq!(registrar.stored(licence["key"].as_str().unwrap()).unwrap().generation, (1 << 53) - 1);
}

#[test]
fn a_licence_that_only_the_store_has_is_dropped() {
    let from = start();
    let [kept, dropped] = [json!({}), json!({ "features": ["a"] })].map(|terms| issue(&from, terms));
    let registrar = without_database(&from);
    let (sums, items) = reconcile_all(&registrar, &json!({}));
    assert_eq!((sums.get("unknown"), items.len()), (Some(&2), 2));
    assert!(items.iter().all(|item| item["found"] == "unknown" && item["store"]["plan"] == "pro"));
    let (sums, items) = reconcile_all(&registrar, &json!({ "drop": true, "license": dropped["id"] }));
    assert_eq!((sums, items.len()), (self::sums([("unknown", 1), ("dropped", 1)]), 1));
    assert_eq!((code(&registrar, &dropped["key"]), code(&registrar, &kept["key"])), ("REVOKED".into(), "VALID".into()));
    let events = registrar.get("/api/v1/events?action=license.dropped").expect(200);
    assert_eq!((&events["items"][0]["subject"], &events["items"][0]["after"]), (&dropped["id"], &Value::Null));
    let (sums, _) = reconcile_all(&registrar, &json!({ "adopt": true }));
    assert_eq!(sums, self::sums([("unknown", 1), ("adopted", 1)]));
    let taken = json!({ "product": "acme", "plan": "pro", "key": dropped["key"] });
    registrar.post("/api/v1/licenses", &taken).problem(409, "KEY_TAKEN");
    check_audit(&registrar);
}

#[test]
fn unknown_keys_are_counted_and_left() {
    let registrar = start();
    varied(&registrar);
    let stranger = format!("license:{}", "0".repeat(64));
    let entry = registrar.world().licenses().next().unwrap().1.clone();
    registrar.world().entries.insert(stranger.clone(), entry);
    assert_eq!(reconcile(&registrar, false, 3), (6, 0, 1));
    assert!(registrar.world().entries.contains_key(&stranger));
}

#[test]
fn a_queued_record_is_not_a_repair() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    registrar.world().is_store_down = true;
    registrar.post(&format!("{}/suspend", path(&licence)), &json!({})).expect(200);
    registrar.post("/api/v1/reconcile", &json!({})).problem(503, "UNAVAILABLE");
    registrar.world().is_store_down = false;
    assert_eq!(reconcile(&registrar, false, 500), (1, 0, 0));
    assert_eq!(code(&registrar, &licence["key"]), "SUSPENDED");
}

#[test]
fn an_unknown_cursor_is_refused() {
    let registrar = start();
    for (body, field) in [
        (json!({ "limit": 0 }), "limit"),
        (json!({ "limit": 501 }), "limit"),
        (json!({ "cursor": "zz" }), "cursor"),
        (json!({ "dryRun": 1 }), "dryRun"),
        (json!({ "adopt": "yes" }), "adopt"),
        (json!({ "drop": 0 }), "drop"),
        (json!({ "adopt": true, "drop": true }), "drop"),
        (json!({ "license": "lic_1" }), "license"),
        (json!({ "more": 1 }), "more"),
    ] {
        assert_eq!(registrar.post("/api/v1/reconcile", &body).problem(400, "INVALID_REQUEST")["field"], field);
    }
}

/// Adopts step by step. Returns the sums over the store's own list, and the products that it names.
fn adopt(registrar: &Registrar, dry_run: bool, limit: u32) -> (BTreeMap<String, u64>, BTreeSet<String>) {
    let (mut sums, mut products) = (BTreeMap::new(), BTreeSet::new());
    let mut body = json!({ "limit": limit, "dryRun": dry_run, "adopt": true });
    loop {
        let report = registrar.post("/api/v1/reconcile", &body).expect(200);
        assert!(report["checked"].as_u64().unwrap() <= limit.into());
        if report.get("unknown").is_some() {
            let parts = ["adopted", "retired", "unreadable", "conflicting"].map(|part| report[part].as_u64().unwrap());
            assert_eq!(report["unknown"], parts.iter().sum::<u64>(), "{report}");
            for (name, count) in report.as_object().unwrap() {
                *sums.entry(name.clone()).or_default() += count.as_u64().unwrap_or_default();
            }
            products.extend(report["products"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().into()));
        }
        match report["next"].as_str() {
            Some(next) => body["cursor"] = next.into(),
            None => break,
        }
    }
    sums.retain(|_, count| *count > 0);
    (sums, products)
}

fn sums<const N: usize>(sums: [(&str, u64); N]) -> BTreeMap<String, u64> {
    sums.map(|(name, count)| (name.to_owned(), count)).into()
}

/// The same store with an empty database.
fn without_database(registrar: &Registrar) -> Registrar {
    let other = Registrar::start();
    other.world().entries = registrar.world().entries.clone();
    other
}

fn values(registrar: &Registrar) -> BTreeMap<String, (Vec<u8>, u64)> {
    let entries = &registrar.world().entries;
    entries.iter().map(|(key, entry)| (key.clone(), (entry.value.clone(), entry.version))).collect()
}

/// The licences by id, reduced to what their records hold.
fn recorded(registrar: &Registrar) -> BTreeMap<String, Value> {
    let mut page = registrar.get("/api/v1/licenses?limit=100").expect(200);
    let items = page["items"].as_array_mut().unwrap();
    let recorded = items.iter_mut().map(|item| {
        let fields = item.as_object_mut().unwrap();
        fields.retain(|name, _| {
            !["owner", "metadata", "policy", "maxDomains", "createdAt", "updatedAt", "revision"]
                .contains(&name.as_str())
        });
        (item["id"].as_str().unwrap().to_owned(), item.take())
    });
    recorded.collect()
}

#[test]
fn licences_found_only_in_the_store_are_adopted() {
    let from = start();
    let mut keys = varied(&from);
    let policy = policy(
        &from,
        json!({ "plan": "max", "expiryBasis": "first-activation", "durationSeconds": 60, "maxDomains": 3,
        "activation": { "per": "machine", "limit": 2 }, "allowances": [{ "name": "n", "limit": 5 }] }),
    );
    let described = json!({ "policy": policy["id"], "owner": "jane", "metadata": { "a": "b" } });
    keys.push((from.post("/api/v1/licenses", &described).expect(201)["key"].clone(), "FINGERPRINT_REQUIRED"));
    from.post("/api/v1/products", &json!({ "code": "other" })).expect(201);
    let revoked = issue(&from, json!({ "product": "other", "features": ["x"] }));
    from.post(&format!("{}/revoke", path(&revoked)), &json!({})).expect(200);
    keys.push((revoked["key"].clone(), "REVOKED"));
    let expected_records = recorded(&from);

    let registrar = without_database(&from);
    {
        let mut world = registrar.world();
        let entry = world.licenses().next().unwrap().1.clone();
        world.entries.insert("license:of-another-form".into(), entry.clone());
        world.entries.insert(format!("license:{}", "0".repeat(64)), Entry { value: b"no record".to_vec(), ..entry });
    }
    let before = values(&registrar);
    check(&registrar, &keys);

    assert_eq!(reconcile(&registrar, false, 500), (0, 0, 10), "reconciling alone changes nothing");
    let expected = sums([("checked", 10), ("unknown", 10), ("adopted", 6), ("retired", 2), ("unreadable", 2)]);
    let products = BTreeSet::from(["acme".to_owned(), "other".to_owned()]);
    assert_eq!(adopt(&registrar, true, 4), (expected.clone(), products.clone()));
    assert_eq!(registrar.get("/api/v1/events").expect(200)["head"]["number"], 0);
    assert_eq!(adopt(&registrar, false, 4), (expected, products));

    assert_eq!(recorded(&registrar), expected_records);
    assert_eq!((values(&registrar), registrar.world().puts), (before, 0));
    check(&registrar, &keys);
    let events =
        |action: &str| registrar.get(&format!("/api/v1/events?limit=100&action={action}")).expect(200)["items"].take();
    assert_eq!(events("product.created").as_array().unwrap().len(), 2);
    let told = events("license.adopted");
    assert_eq!(told.as_array().unwrap().len(), 6);
    for event in told.as_array().unwrap() {
        let now = registrar.get(&format!("/api/v1/licenses/{}", event["subject"].as_str().unwrap())).expect(200);
        assert_eq!((&event["before"], &event["after"]), (&Value::Null, &now));
    }

    assert_eq!(
        adopt(&registrar, false, 500).0,
        sums([("checked", 10), ("unknown", 4), ("retired", 2), ("unreadable", 2)])
    );
    assert_eq!(reconcile(&registrar, false, 500), (6, 0, 4), "adopted records need no repair");
    assert_eq!(registrar.world().puts, 0);
    // An adopted licence behaves as any other.
    let (key, _) = &keys[0];
    let found = registrar.post("/api/v1/licenses/lookup", &json!({ "key": key })).expect(200);
    registrar.post(&format!("{}/suspend", path(&found)), &json!({})).expect(200);
    assert_eq!(code(&registrar, key), "SUSPENDED");
    assert_eq!(registrar.get("/api/v1/licenses?domain=example.com").expect(200)["items"].as_array().unwrap().len(), 1);
    let again = json!({ "product": "acme", "plan": "pro", "key": key });
    registrar.post("/api/v1/licenses", &again).problem(409, "KEY_TAKEN");
}

#[test]
fn two_records_with_one_id_conflict() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    let deleted = issue(&registrar, json!({}));
    let store_key = |licence: &Value| key::read(licence["key"].as_str().unwrap()).unwrap().store_key();
    let copy = |of: &Value, digit: &str| {
        let mut world = registrar.world();
        let entry = world.entries[&store_key(of)].clone();
        world.entries.insert(format!("license:{}", digit.repeat(64)), entry);
    };
    copy(&licence, "0");
    copy(&deleted, "1");
    registrar.delete(&path(&deleted)).expect(204);
    assert_eq!(adopt(&registrar, false, 500).0, sums([("checked", 4), ("unknown", 2), ("conflicting", 2)]));

    let other = Registrar::start();
    let licence = registrar.world().entries[&store_key(&licence)].clone();
    other.world().entries = ["2", "3"].map(|digit| (format!("license:{}", digit.repeat(64)), licence.clone())).into();
    // The conflict is found within one step and across two.
    assert_eq!(adopt(&other, true, 500).0, sums([("checked", 2), ("unknown", 2), ("adopted", 1), ("conflicting", 1)]));
    assert_eq!(adopt(&other, false, 1).0, sums([("checked", 2), ("unknown", 2), ("adopted", 1), ("conflicting", 1)]));
    assert_eq!(recorded(&other).len(), 1);
}

#[test]
fn an_adoption_is_all_or_nothing_after_any_cut() {
    let from = start();
    varied(&from);
    for fault in [Fault::AnswerLost, Fault::NotMade] {
        for calls in 1.. {
            let registrar = without_database(&from);
            registrar.post("/api/v1/reconcile", &json!({})).expect(200);
            let cursor = json!({ "adopt": true, "cursor": "ec" });
            registrar.world().cut_off = Some((calls, fault));
            let status = registrar.post("/api/v1/reconcile", &cursor).status;
            registrar.world().cut_off = None;
            let found = recorded(&registrar).len();
            assert!(
                status == 503 && [0, 4].contains(&found) || (status, found) == (200, 4),
                "{calls}: {status}, {found}"
            );
            assert_eq!(adopt(&registrar, false, 500).0.get("adopted").copied().unwrap_or_default(), 4 - found as u64);
            assert_eq!(
                registrar.get("/api/v1/events").expect(200)["head"]["number"],
                5,
                "four licences and their product"
            );
            if status == 200 {
                break;
            }
        }
    }
}

#[test]
fn a_record_that_none_can_follow_is_counted_and_left_alone() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    let store_key = key::read(licence["key"].as_str().unwrap()).unwrap().store_key();
    for generation in [(1 << 53) - 1, u64::MAX] {
        let mut record = registrar.stored(licence["key"].as_str().unwrap()).unwrap();
        record.generation = generation;
        registrar.world().write(&store_key, record.to_json().into_bytes());
        let report = registrar.post("/api/v1/reconcile", &json!({})).expect(200);
        assert_eq!((&report["repaired"], &report["unrepairable"]), (&json!(0), &json!(1)));
        assert_eq!(registrar.stored(licence["key"].as_str().unwrap()).unwrap().generation, generation);
    }
}

#[test]
fn a_licence_that_is_not_as_its_events_say_is_not_the_truth() {
    let registrar = start();
    let licences = [0; 4].map(|_| issue(&registrar, json!({})));
    let [forged, deleted, honest, rekeyed] = &licences;
    registrar.post(&format!("{}/suspend", path(forged)), &json!({})).expect(200);
    registrar.post(&format!("{}/suspend", path(honest)), &json!({})).expect(200);
    let database = registrar.database();
    let (id, generation) = (|of: &Value| of["id"].as_str().unwrap().to_owned(), 99);
    let resume =
        "UPDATE licenses SET status = 'active', record = json_set(record, '$.status', 'active', '$.generation', ?2)
        WHERE id = ?1";
    database.execute(resume, (id(forged), generation)).unwrap();
    database.execute("DELETE FROM licenses WHERE id = ?1", [id(deleted)]).unwrap();
    // Another key in the place of the one that was generated.
    let rekey = "UPDATE keys SET hash = ?2 WHERE license = ?1; UPDATE licenses SET key_hash = ?2 WHERE id = ?1";
    for statement in rekey.split("; ") {
        database.execute(statement, (id(rekeyed), "2".repeat(64))).unwrap();
    }
    // A key of nobody, with a record that would be valid.
    let record = "SELECT json_set(record, '$.generation', 99) FROM licenses WHERE id = ?1";
    let record: String = database.query_row(record, [id(forged)], |row| row.get(0)).unwrap();
    database.execute("INSERT INTO keys VALUES (?1, ?2, ?3)", ("1".repeat(64), id(forged), record)).unwrap();
    for dry_run in [true, false] {
        let report = registrar.post("/api/v1/reconcile", &json!({ "dryRun": dry_run })).expect(200);
        let named: BTreeSet<_> = report["unaccounted"].as_array().unwrap().iter().map(id_of).collect();
        assert_eq!(named, BTreeSet::from([id(forged), id(deleted), id(rekeyed)]));
        assert_eq!(report["repaired"], 0);
    }
    assert_eq!(code(&registrar, &forged["key"]), "SUSPENDED");
    assert_eq!(code(&registrar, &deleted["key"]), "VALID");
    assert_eq!(code(&registrar, &honest["key"]), "SUSPENDED");
    for forged in ["1", "2"] {
        assert!(!registrar.world().entries.contains_key(&format!("license:{}", forged.repeat(64))));
    }
}

fn id_of(id: &Value) -> String {
    id.as_str().unwrap().to_owned()
}
