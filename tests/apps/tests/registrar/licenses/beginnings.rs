//! Licences whose time begins with their first use: what lists, filters and statistics know of it.

use serde_json::{Value, json};

use super::{code, issue, path, start};
use countersign_app_tests::{Fault, Registrar};

/// A licence for ten days from its first validation.
fn trial(registrar: &Registrar) -> Value {
    issue(registrar, json!({ "expiryBasis": "first-validation", "duration": "10d" }))
}

fn find(registrar: &Registrar, body: Value) -> Value {
    registrar.post("/api/v1/licenses/beginnings", &body).expect(200)
}

fn counts(registrar: &Registrar) -> Value {
    let licenses = registrar.get("/api/v1/stats").expect(200)["licenses"].take();
    json!([licenses["notBegun"], licenses["expiringIn30Days"], licenses["expired"]])
}

/// The ids of the licences that end before a moment.
fn ending(registrar: &Registrar, before: &str) -> Vec<Value> {
    let list = registrar.get(&format!("/api/v1/licenses?expiringBefore={before}")).expect(200);
    list["items"].as_array().unwrap().iter().map(|licence| licence["id"].clone()).collect()
}

#[test]
fn an_end_that_the_first_use_set_is_known_to_lists_and_statistics() {
    let registrar = start();
    let (used, unused) = (trial(&registrar), trial(&registrar));
    issue(&registrar, json!({ "expiresAt": "2026-11-30T00:00:00Z" }));
    registrar.advance(60);
    assert_eq!(code(&registrar, &used["key"]), "VALID");
    assert_eq!(code(&registrar, &used["key"]), "VALID");
    // The journal says it once, and a host passes it on.
    let journal = registrar.world().journal();
    let began: Vec<_> = journal.iter().filter(|line| line.contains("time-began")).collect();
    assert_eq!(began.len(), 1);
    assert!(
        began[0].contains(used["id"].as_str().unwrap()) && began[0].contains("2026-11-22T10:01:00Z"),
        "{}",
        began[0]
    );

    // Not known yet, and that is what the answers say.
    let before = registrar.get(&path(&used)).expect(200);
    assert_eq!((&before["begunAt"], &before["endsAt"]), (&Value::Null, &Value::Null));
    assert_eq!((counts(&registrar), ending(&registrar, "2026-12-31").len()), (json!([2, 1, 0]), 1));

    registrar.advance(60);
    assert_eq!(find(&registrar, json!({})), json!({ "checked": 2, "begun": 1 }));
    assert_eq!(find(&registrar, json!({})), json!({ "checked": 1, "begun": 0 }));
    let after = registrar.get(&path(&used)).expect(200);
    let end = json!("2026-12-02T10:01:00Z");
    assert_eq!((&after["begunAt"], &after["endsAt"]), (&json!("2026-11-22T10:01:00Z"), &end));
    assert_eq!((&after["revision"], &after["generation"]), (&json!(2), &json!(1)));
    assert_eq!((counts(&registrar), ending(&registrar, "2026-12-31").len()), (json!([1, 2, 0]), 2));
    // In the order of the ends.
    assert_eq!(ending(&registrar, "2026-12-02T10:01:01Z")[1], used["id"]);
    assert_eq!(ending(&registrar, "2026-12-02T10:01:00Z").len(), 1);
    let events = registrar.get("/api/v1/events?action=license.begun").expect(200)["items"].take();
    assert_eq!((events.as_array().unwrap().len(), &events[0]["after"]["endsAt"]), (1, &end));
    assert_eq!(registrar.get("/api/v1/audit").expect(200)["faults"], json!([]));

    // The end follows the terms.
    registrar.post(&format!("{}/renew", path(&used)), &json!({ "duration": "5d" })).expect(200);
    assert_eq!(registrar.get(&path(&used)).expect(200)["endsAt"], "2026-12-07T10:01:00Z");
    assert_eq!(ending(&registrar, "2026-12-02T10:01:01Z").len(), 1);
    registrar.advance(20 * 86_400);
    assert_eq!(counts(&registrar), json!([1, 0, 2]));
    assert_eq!(registrar.get("/api/v1/audit").expect(200)["faults"], json!([]));

    // What follows from the state is not exported as a term, nor is it known of another's licence.
    let line = String::from_utf8(registrar.get("/api/v1/licenses/export").bytes).unwrap();
    assert!(!line.contains("begunAt") && !line.contains("endsAt"), "{line}");
    assert_eq!(registrar.get(&path(&unused)).expect(200)["begunAt"], Value::Null);
}

#[test]
fn a_host_asks_about_the_licences_that_its_journal_names() {
    let registrar = start();
    let licences: Vec<Value> = (0..60).map(|_| trial(&registrar)).collect();
    for licence in &licences[..40] {
        assert_eq!(code(&registrar, &licence["key"]), "VALID");
    }
    let ids: Vec<&Value> = licences[30..].iter().map(|licence| &licence["id"]).collect();
    assert_eq!(find(&registrar, json!({ "licenses": ids })), json!({ "checked": 30, "begun": 10 }));
    assert_eq!(find(&registrar, json!({ "licenses": ids })), json!({ "checked": 30, "begun": 0 }));
    let unknown = json!({ "licenses": ["lic_0123456789abcdefghjkmnpqrs"] });
    assert_eq!(find(&registrar, unknown), json!({ "checked": 0, "begun": 0 }));
    // In portions that lead on, wherever they begin.
    let mut sorted: Vec<&str> = licences[..30].iter().map(|licence| licence["id"].as_str().unwrap()).collect();
    sorted.sort_unstable();
    let rest = find(&registrar, json!({ "cursor": sorted[9] }));
    assert_eq!(rest["begun"], 20);
    assert_eq!(find(&registrar, json!({}))["begun"], 10);
    assert_eq!(counts(&registrar)[0], 20);
    for (body, field) in [(json!({ "licenses": "all" }), "licenses"), (json!({ "cursor": "x" }), "cursor")] {
        let problem = registrar.post("/api/v1/licenses/beginnings", &body).problem(400, "INVALID_REQUEST");
        assert_eq!(problem["field"], field);
    }
}

#[test]
fn a_state_that_cannot_be_read_hides_no_beginning_of_another() {
    let registrar = start();
    let (broken, used) = (trial(&registrar), trial(&registrar));
    assert_eq!(code(&registrar, &used["key"]), "VALID");
    let state_key = format!("state:{}", broken["id"].as_str().unwrap());
    registrar.world().write(&state_key, b"no state".to_vec());
    registrar.world().is_store_down = true;
    registrar.post("/api/v1/licenses/beginnings", &json!({})).problem(503, "UNAVAILABLE");
    registrar.world().is_store_down = false;
    assert_eq!(find(&registrar, json!({})), json!({ "checked": 2, "begun": 1 }));
    assert_eq!(counts(&registrar), json!([1, 1, 0]));
}

#[test]
fn a_beginning_whose_answer_was_lost_is_found_later() {
    let registrar = start();
    let used = trial(&registrar);
    registrar.world().store_faults = [None, None, Some(Fault::AnswerLost)].into();
    assert_eq!(code(&registrar, &used["key"]), "UNAVAILABLE");
    registrar.world().store_faults.clear();
    assert_eq!(find(&registrar, json!({}))["begun"], 1);
}
