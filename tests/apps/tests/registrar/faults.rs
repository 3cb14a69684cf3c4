//! A database that is locked, full, gone or newer gives a 503 with the reason, and nothing half
//! done.

use countersign_host::bindings::sql::Error;
use serde_json::{Value, json};

use countersign_app_tests::{Answer, Registrar, at_once};

/// The body. Panics unless the answer is a 503 with this reason.
#[track_caller]
fn unavailable(answer: Answer, reason: &str) -> Value {
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    let problem = answer.problem(503, "UNAVAILABLE");
    assert_eq!(problem["reason"], reason, "{problem}");
    problem
}

/// All rows of the database, a string for each table.
fn content(registrar: &Registrar) -> Vec<String> {
    let database = registrar.database();
    let mut tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let rows = |table: &String| {
        let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut found = table.clone();
        while let Some(row) = rows.next().unwrap() {
            (0..columns).for_each(|column| found += &format!("{:?} ", row.get_ref(column).unwrap()));
        }
        found
    };
    tables.iter().map(rows).collect()
}

#[test]
fn a_fault_of_any_call_leaves_nothing_half_done() {
    let faults = [
        (Error::Busy, "sql-busy"),
        (Error::Full, "sql-full"),
        (Error::Unavailable("a fault of the test".into()), "sql-unavailable"),
        (Error::NoSuchDatabase, "sql-no-such-database"),
        (Error::AccessDenied, "sql-access-denied"),
        (Error::Other("a fault of the test".into()), "sql-other"),
    ];
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let before = content(&registrar);
    let ask = |key: &str| {
        let asking = registrar.request("POST", "/api/v1/tokens").header("idempotency-key", key);
        asking.json(&json!({ "name": "shop", "role": "reader" })).send()
    };
    // Calls up to the commit. A fault of those after it, two of the database and two of the store,
    // does not fail the request.
    let calls_before = registrar.world().calls;
    ask("counted").expect(201);
    let calls = registrar.world().calls - calls_before - 4;
    registrar.delete("/api/v1/tokens/none").problem(404, "NOT_FOUND");
    let after_one = content(&registrar);
    assert_ne!(after_one, before);
    for call in 0..calls {
        for (fault, reason) in &faults {
            registrar.world().sql_faults = (0..call).map(|_| None).chain([Some(fault.clone())]).collect();
            unavailable(ask("another"), reason);
            assert_eq!(content(&registrar), after_one, "call {call}, {reason}");
        }
    }
    ask("another").expect(201);
}

#[test]
fn a_conflict_that_persists_ends_as_contention() {
    let registrar = Registrar::start();
    registrar.get("/api/v1/products").expect(200);
    // Every batch conflicts, more often than the registrar retries.
    let refused = Some(Error::Constraint("a fault of the test".into()));
    let attempt = [None, None, None, None, refused];
    registrar.world().sql_faults = [None, None].into_iter().chain((0..200).flat_map(|_| attempt.clone())).collect();
    unavailable(registrar.post("/api/v1/products", &json!({ "code": "acme" })), "contention");
    registrar.world().sql_faults.clear();
    assert_eq!(registrar.get("/api/v1/events").expect(200)["head"]["number"], 0);
}

#[test]
fn a_locked_database_refuses_writes_and_still_reads() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let other = registrar.database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    unavailable(registrar.post("/api/v1/products", &json!({ "code": "second" })), "sql-busy");
    // Reads still work, although the token's last use cannot be recorded.
    registrar.get("/api/v1/products/acme").expect(200);
    other.execute_batch("ROLLBACK").unwrap();
    registrar.post("/api/v1/products", &json!({ "code": "second" })).expect(201);
}

#[test]
fn a_full_database_refuses_writes_and_still_reads() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    let content_before = content(&registrar);
    registrar.world().sql_faults = [None, None, None, None, None, None, Some(Error::Full)].into();
    unavailable(registrar.post("/api/v1/products", &json!({ "code": "second" })), "sql-full");
    assert_eq!(content(&registrar), content_before);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    registrar.database().execute("UPDATE schema SET version = version + 1", []).unwrap();
    let before = content(&registrar);
    for (method, target) in [("GET", "/api/v1/products"), ("POST", "/api/v1/products"), ("GET", "/api/v1/events")] {
        unavailable(registrar.request(method, target).json(&json!({ "code": "second" })).send(), "newer-schema");
    }
    assert_eq!(content(&registrar), before);
}

#[test]
fn concurrent_first_requests_create_the_tables_once() {
    let registrar = Registrar::start();
    let answers = at_once(16, |_| registrar.get("/api/v1/products"));
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let versions: i64 = registrar.database().query_row("SELECT COUNT(*) FROM schema", [], |row| row.get(0)).unwrap();
    assert_eq!(versions, 1);
}

#[test]
fn corrupt_rows_give_a_503_that_says_so() {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    for (damage, mend) in [
        ("UPDATE products SET metadata = 'x'", "UPDATE products SET metadata = '{}'"),
        ("UPDATE products SET code = 'A B'", "UPDATE products SET code = 'acme'"),
        ("UPDATE products SET revision = -1", "UPDATE products SET revision = 1"),
    ] {
        registrar.database().execute(damage, []).unwrap();
        unavailable(registrar.get("/api/v1/products"), "sql-corrupt");
        registrar.database().execute(mend, []).unwrap();
    }
    registrar.database().execute("UPDATE chain SET hash = x'00'", []).unwrap();
    unavailable(registrar.post("/api/v1/products", &json!({ "code": "second" })), "sql-corrupt");
}
