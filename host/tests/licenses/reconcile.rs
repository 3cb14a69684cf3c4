//! The store is brought to what the database says.

use serde_json::{Value, json};

use crate::vendor::Registrar;
use crate::{code, issue, path, start};

/// All pages: what was checked, repaired, and unknown.
fn reconcile(registrar: &Registrar, dry_run: bool, limit: u32) -> (u64, u64, u64) {
    let (mut checked, mut repaired, mut unknown) = (0, 0, 0);
    let mut body = json!({ "limit": limit, "dryRun": dry_run });
    loop {
        let report = registrar.post("/api/v1/reconcile", &body).expect(200);
        let number = |name: &str| report[name].as_u64().unwrap_or_default();
        // The store's own keys come after those that were given out.
        checked += if report.get("unknown").is_some() { 0 } else { number("checked") };
        repaired += number("repaired");
        unknown += number("unknown");
        match report["next"].as_str() {
            Some(next) => body["cursor"] = next.into(),
            None => return (checked, repaired, unknown),
        }
    }
}

/// Active, suspended, rotated and deleted licences: six keys. With what each key's holder is to be told.
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
fn a_store_that_has_all_is_left_alone() {
    let registrar = start();
    let keys = varied(&registrar);
    let puts = registrar.world().puts;
    assert_eq!(reconcile(&registrar, false, 500), (6, 0, 0));
    assert_eq!(reconcile(&registrar, false, 4), (6, 0, 0));
    assert_eq!(registrar.world().puts, puts);
    check(&registrar, &keys);
}

#[test]
fn a_store_that_was_emptied_is_filled() {
    let registrar = start();
    let keys = varied(&registrar);
    registrar.world().entries.clear();
    assert_eq!(reconcile(&registrar, true, 500), (6, 6, 0));
    assert!(registrar.world().entries.is_empty());
    assert_eq!(reconcile(&registrar, false, 4), (6, 6, 0));
    check(&registrar, &keys);
    assert_eq!(reconcile(&registrar, false, 500), (6, 0, 0));
}

#[test]
fn records_that_are_older_other_newer_or_none_are_repaired() {
    let registrar = start();
    let keys = varied(&registrar);
    // One each: as it was two generations ago, changed without one, far ahead, no record at all.
    let changes: [fn(&str) -> String; 6] = [
        |record| record.replace("\"generation\":1", "\"generation\":0").replace("active", "revoked"),
        |record| record.replace("\"plan\":\"pro\"", "\"plan\":\"max\""),
        |record| record.replace("\"generation\":2", "\"generation\":900").replace("pro", "max"),
        |_| "no record".into(),
        |record| record.replace("\"status\":\"revoked\"", "\"status\":\"active\""),
        |_| String::new(),
    ];
    let entries: Vec<String> = registrar.world().entries.keys().cloned().collect();
    for rotation in 0..changes.len() {
        let mut expected = 0;
        for (number, key) in entries.iter().enumerate() {
            let mut world = registrar.world();
            let entry = world.entries.get_mut(key).unwrap();
            let before = String::from_utf8(entry.value.clone()).unwrap();
            let after = changes[(number + rotation) % changes.len()](&before);
            expected += u64::from(after != before);
            entry.value = after.into_bytes();
            entry.version += 1_000_000;
        }
        let (checked, repaired, unknown) = reconcile(&registrar, false, 500);
        assert_eq!((checked, repaired, unknown), (6, expected, 0), "rotation {rotation}");
        check(&registrar, &keys);
        assert_eq!(reconcile(&registrar, false, 500), (6, 0, 0), "rotation {rotation}");
    }
    let page = registrar.get("/api/v1/licenses").expect(200);
    for licence in page["items"].as_array().unwrap() {
        assert_eq!(licence["plan"], "pro");
    }
}

#[test]
fn keys_that_are_not_known_are_counted_and_left() {
    let registrar = start();
    varied(&registrar);
    let stranger = format!("license:{}", "0".repeat(64));
    let entry = registrar.world().entries.values().next().unwrap().clone();
    registrar.world().entries.insert(stranger.clone(), entry);
    assert_eq!(reconcile(&registrar, false, 3), (6, 0, 1));
    assert!(registrar.world().entries.contains_key(&stranger));
}

#[test]
fn what_is_on_its_way_is_no_repair() {
    let registrar = start();
    let licence = issue(&registrar, json!({}));
    registrar.world().is_store_gone = true;
    registrar.post(&format!("{}/suspend", path(&licence)), &json!({})).expect(200);
    registrar.post("/api/v1/reconcile", &json!({})).problem(503, "UNAVAILABLE");
    registrar.world().is_store_gone = false;
    assert_eq!(reconcile(&registrar, false, 500), (1, 0, 0));
    assert_eq!(code(&registrar, &licence["key"]), "SUSPENDED");
}

#[test]
fn what_is_no_place_is_refused() {
    let registrar = start();
    for (body, field) in [
        (json!({ "limit": 0 }), "limit"),
        (json!({ "limit": 501 }), "limit"),
        (json!({ "cursor": "zz" }), "cursor"),
        (json!({ "dryRun": 1 }), "dryRun"),
        (json!({ "more": 1 }), "more"),
    ] {
        assert_eq!(registrar.post("/api/v1/reconcile", &body).problem(400, "INVALID_REQUEST")["field"], field);
    }
}
