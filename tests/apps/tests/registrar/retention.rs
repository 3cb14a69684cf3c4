//! What is too old is removed, in portions, and nothing else is.

use serde_json::{Value, json};

use crate::audit::{events, faults, first_fault};
use countersign_app_tests::Registrar;

const DAY: i64 = 86_400;

fn set(registrar: &Registrar, name: &str, value: &str) {
    registrar.world().settings.insert(name.to_owned(), value.to_owned());
}

fn clean(registrar: &Registrar) -> Value {
    registrar.post("/api/v1/retention", &json!({})).expect(200)
}

fn count(registrar: &Registrar, table: &str) -> i64 {
    registrar.database().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn report(registrar: &Registrar, licence: &Value, day: &str) {
    let counts = json!([{ "license": licence["id"], "day": day, "code": "VALID", "count": 1 }]);
    registrar.post("/api/v1/stats/validations", &json!({ "counts": counts, "lost": 1 })).expect(204);
}

const NOTHING: [u64; 3] = [0, 0, 0];

fn removed(report: &Value) -> [u64; 3] {
    ["validations", "answers", "events"].map(|name| report[name].as_u64().unwrap())
}

#[test]
fn without_settings_counts_stay_for_400_days_answers_for_one_and_personal_data_for_ever() {
    let registrar = Registrar::start();
    let order = json!({ "product": "acme", "plan": "pro", "owner": "jane" });
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let ask = registrar.request("POST", "/api/v1/licenses").header("idempotency-key", "a").json(&order);
    let licence = ask.send().expect(201);
    report(&registrar, &licence, "2026-11-22");
    assert_eq!(removed(&clean(&registrar)), NOTHING);
    registrar.advance(DAY);
    assert_eq!(removed(&clean(&registrar)), [0, 1, 0]);
    assert_eq!((count(&registrar, "operations"), count(&registrar, "operation_licenses")), (0, 0));
    registrar.advance(399 * DAY);
    assert_eq!(removed(&clean(&registrar)), NOTHING);
    registrar.advance(DAY);
    assert_eq!(removed(&clean(&registrar)), [2, 0, 0], "of the licence, and of all");
    assert_eq!((count(&registrar, "validations"), count(&registrar, "losses")), (0, 0));
    registrar.advance(10_000 * DAY);
    assert_eq!(removed(&clean(&registrar)), NOTHING);
    assert_eq!(events(&registrar, 100).0[1]["after"]["owner"], "jane");
}

#[test]
fn settings_say_how_long() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let order = json!({ "product": "acme", "plan": "pro", "owner": "jane" });
    let ask = registrar.request("POST", "/api/v1/licenses").header("idempotency-key", "a").json(&order);
    let licence = ask.send().expect(201);
    report(&registrar, &licence, "2026-11-22");
    set(&registrar, "keep_validation_days", "1");
    set(&registrar, "keep_answer_hours", "1");
    set(&registrar, "keep_personal_days", "2");
    registrar.advance(3_599);
    assert_eq!(ask.send().header("idempotency-replayed"), Some("true"));
    registrar.advance(1);
    assert_eq!(ask.send().header("idempotency-replayed"), None, "it is another order now");
    assert_eq!(removed(&clean(&registrar))[0], 0);
    registrar.advance(2 * DAY);
    clean(&registrar);
    assert_eq!(count(&registrar, "validations"), 0);
    let told = events(&registrar, 100).0;
    assert_eq!(
        (&told[1]["after"]["owner"], told[1]["erased"].as_u64()),
        (&Value::Null, told.last().unwrap()["number"].as_u64())
    );
    assert_eq!((first_fault(&registrar), faults(&registrar, 500)), (None, vec![]));
    let shown = registrar.get(&format!("/api/v1/licenses/{}", licence["id"].as_str().unwrap())).expect(200);
    assert_eq!(shown["owner"], "jane", "the licence keeps its owner");
    assert_eq!(removed(&clean(&registrar))[2], 0);
}

#[test]
fn one_request_removes_a_portion() {
    let registrar = Registrar::start();
    let licence = registrar.issue();
    let insert = "WITH RECURSIVE days(day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM days WHERE day < 1200)
        INSERT INTO validations (license, day, code, count) SELECT 'x', day, 'VALID', 1 FROM days";
    registrar.database().execute_batch(insert).unwrap();
    for (validations, more) in [(500, true), (500, true), (200, false), (0, false)] {
        let report = clean(&registrar);
        assert_eq!((removed(&report), &report["more"]), ([validations, 0, 0], &json!(more)));
    }
    drop(licence);
}

/// As on hosts that have no thread for it.
#[test]
fn a_write_removes_a_portion_too() {
    let registrar = Registrar::start();
    let licence = registrar.issue();
    report(&registrar, &licence, "2026-11-22");
    registrar.advance(401 * DAY);
    registrar.token("reader");
    assert_eq!(count(&registrar, "validations"), 0);
}

#[test]
fn an_invalid_setting_is_a_fault_of_the_operator_and_removes_nothing() {
    let registrar = Registrar::start();
    registrar.issue();
    for (name, value) in [
        ("keep_personal_days", "soon"),
        ("keep_personal_days", "0"),
        ("keep_validation_days", "-1"),
        ("keep_answer_hours", "1d"),
    ] {
        set(&registrar, name, value);
        let problem = registrar.post("/api/v1/retention", &json!({})).problem(503, "UNAVAILABLE");
        assert_eq!(problem["reason"], "settings", "{name}");
        set(&registrar, name, "");
    }
    assert_eq!(removed(&clean(&registrar)), NOTHING);
}
