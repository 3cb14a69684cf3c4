//! The claims about one caller at a time.

use std::slice::from_ref;

use anyhow::{Result, ensure};
use countersign_host_tests::sql::{Outcome, Sql, expecting, integer, statement, text};
use serde_json::{Value, json};

use crate::{Claim, committed, kind, ok};

pub(crate) const CLAIMS: [Claim; 17] = [
    Claim { name: "a-value-is-stored-unchanged", holds: a_value_is_kept },
    Claim { name: "a-large-value-is-stored-unchanged", holds: a_large_value_is_kept },
    Claim { name: "a-parameter-is-never-a-statement", holds: a_parameter_is_never_a_statement },
    Claim { name: "a-parameter-may-be-used-twice", holds: a_parameter_may_be_used_twice },
    Claim { name: "rows-are-in-the-order-of-the-query", holds: rows_come_in_order },
    Claim { name: "a-write-returns-its-returning-rows", holds: a_write_returns },
    Claim { name: "a-batch-has-the-rows-of-each-statement", holds: a_batch_has_the_rows_of_each },
    Claim { name: "an-empty-batch-is-committed", holds: an_empty_batch_is_committed },
    Claim { name: "a-batch-sees-its-own-writes", holds: a_batch_sees_its_own_writes },
    Claim { name: "a-batch-is-all-or-nothing", holds: a_batch_is_all_or_nothing },
    Claim { name: "an-unmet-expectation-undoes-the-batch", holds: unmet },
    Claim { name: "a-violated-constraint-is-reported", holds: a_violated_constraint_is_reported },
    Claim { name: "a-missing-table-is-reported", holds: a_missing_table_is_reported },
    Claim { name: "a-wrong-statement-is-reported", holds: a_wrong_statement_is_reported },
    Claim { name: "an-error-names-no-parameter", holds: an_error_names_no_parameter },
    Claim { name: "no-transaction-is-left-open", holds: no_transaction_is_left_open },
    Claim { name: "a-full-database-is-reported", holds: a_full_database_is_reported },
];

fn a_value_is_kept(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, value)", &[])?)?;
    let values = [
        Value::Null,
        integer(0),
        integer(i64::MIN),
        integer(i64::MAX),
        json!({ "real": 0.1 }),
        json!({ "real": -1e300 }),
        text(""),
        text("a\u{0}b"),
        text("\r\n\t \"\\ '; é\u{10FFFF}\u{FEFF}"),
        json!({ "blob": [] }),
        json!({ "blob": [0, 255, 39, 59] }),
    ];
    for (value, id) in values.iter().zip(1..) {
        ok(sql.execute("INSERT INTO kept (id, value) VALUES (?1, ?2)", &[integer(id), value.clone()])?)?;
        let found = ok(sql.query("SELECT value FROM kept WHERE id = ?1", &[integer(id)])?)?;
        ensure!(found == [[value.clone()]], "{found:?} is returned for {value}");
    }
    let types = ok(sql.query("SELECT DISTINCT typeof(value) FROM kept ORDER BY 1", &[])?)?;
    ensure!(types == ["blob", "integer", "null", "real", "text"].map(|name| [text(name)]), "{types:?}");
    Ok(())
}

fn a_large_value_is_kept(sql: Sql) -> Result<()> {
    const SIZE: usize = 1024 * 1024;
    ok(sql.execute("CREATE TABLE large (value)", &[])?)?;
    for (given, select) in [("text-of-size", "value"), ("blob-of-size", "CAST(value AS TEXT)")] {
        ok(sql.execute("DELETE FROM large", &[])?)?;
        ok(sql.execute("INSERT INTO large VALUES (?1)", &[json!({ given: SIZE })])?)?;
        let found = ok(sql.query(&format!("SELECT {select} FROM large"), &[])?)?;
        let [[Value::Object(value)]] =
            found.iter().map(|row| <&[_; 1]>::try_from(&row[..])).collect::<Result<Vec<_>, _>>()?[..]
        else {
            anyhow::bail!("{} rows", found.len())
        };
        ensure!(value["text"] == "x".repeat(SIZE), "another {given} was returned");
    }
    Ok(())
}

fn a_parameter_is_never_a_statement(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE spared (value TEXT)", &[])?)?;
    for given in ["'); DROP TABLE spared; --", "\"; DELETE FROM spared; --", "' OR '1'='1", "?1", "%", "x' --"] {
        ok(sql.execute("INSERT INTO spared (value) VALUES (?1)", &[text(given)])?)?;
        let found = ok(sql.query("SELECT value FROM spared WHERE value = ?1", &[text(given)])?)?;
        ensure!(found == [[text(given)]], "{found:?} is returned for {given}");
    }
    Ok(())
}

fn a_parameter_may_be_used_twice(sql: Sql) -> Result<()> {
    let found = ok(sql.query("SELECT ?2, ?1, ?2", &[integer(1), text("b")])?)?;
    ensure!(found == [[text("b"), integer(1), text("b")]], "{found:?}");
    Ok(())
}

fn rows_come_in_order(sql: Sql) -> Result<()> {
    let found = ok(sql.query("SELECT value, value * 2 FROM json_each('[3,1,2]') ORDER BY value DESC", &[])?)?;
    ensure!(found == [3, 2, 1].map(|number| [integer(number), integer(2 * number)]), "{found:?}");
    let found = ok(sql.query("SELECT 1 WHERE 0", &[])?)?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

fn a_write_returns(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE returned (id INTEGER PRIMARY KEY, value TEXT)", &[])?)?;
    let insert = "INSERT INTO returned (value) VALUES (?1), (?2) RETURNING id, value";
    let found = ok(sql.execute(insert, &[text("a"), text("b")])?)?;
    ensure!(found == [[integer(1), text("a")], [integer(2), text("b")]], "{found:?}");
    let found = ok(sql.execute("UPDATE returned SET value = 'c' WHERE id = 9 RETURNING id", &[])?)?;
    ensure!(found.is_empty(), "{found:?}");
    let found = ok(sql.execute("DELETE FROM returned", &[])?)?;
    ensure!(found.is_empty(), "no rows must be returned, but {found:?} are");
    Ok(())
}

fn a_batch_has_the_rows_of_each(sql: Sql) -> Result<()> {
    let found = committed(sql.batch(&[
        statement("CREATE TABLE each (value)", &[]),
        expecting(2, "INSERT INTO each VALUES (?1), (?2) RETURNING value", &[integer(1), integer(2)]),
        expecting(1, "SELECT count(*) FROM each", &[]),
    ])?)?;
    ensure!(found == [vec![], vec![vec![integer(1)], vec![integer(2)]], vec![vec![integer(2)]]], "{found:?}");
    Ok(())
}

fn an_empty_batch_is_committed(sql: Sql) -> Result<()> {
    let found = committed(sql.batch(&[])?)?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

fn a_batch_sees_its_own_writes(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE own (n INTEGER)", &[])?)?;
    let add = statement("INSERT INTO own SELECT count(*) FROM own RETURNING n", &[]);
    let found = committed(sql.batch(&[add.clone(), add.clone(), add])?)?;
    ensure!(found == [0, 1, 2].map(|n| vec![vec![integer(n)]]), "{found:?}");
    Ok(())
}

fn a_batch_is_all_or_nothing(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE whole (id INTEGER PRIMARY KEY, value TEXT NOT NULL) STRICT", &[])?)?;
    let insert = |id| statement("INSERT INTO whole VALUES (?1, 'a')", &[integer(id)]);
    for (wrong, error) in [
        (insert(1), "constraint"),
        (statement("INSERT INTO whole VALUES (9, NULL)", &[]), "constraint"),
        (statement("INSERT INTO whole VALUES (9, x'00')", &[]), "constraint"),
        (statement("INSERT INTO missing VALUES (1)", &[]), "no-such-table"),
        (statement("INSERT INTO whole VALUES (?1, ?2)", &[integer(9)]), "other"),
        (statement("no statement", &[]), "other"),
    ] {
        let found = kind(sql.batch(&[insert(1), statement("CREATE TABLE half (a)", &[]), wrong.clone(), insert(3)])?);
        ensure!(found.as_deref() == Some(error), "{wrong} gives {found:?} and must give {error}");
        let left = ok(
            sql.query("SELECT (SELECT count(*) FROM whole), count(*) FROM sqlite_schema WHERE name = 'half'", &[])?
        )?;
        ensure!(left == [[integer(0), integer(0)]], "{left:?} remains of a batch with {wrong}");
    }
    committed(sql.batch(&[insert(1), insert(2)])?)?;
    Ok(())
}

fn unmet(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE expected (id INTEGER PRIMARY KEY, n INTEGER)", &[])?)?;
    let insert = expecting(1, "INSERT INTO expected VALUES (?1, 0) RETURNING id", &[integer(1)]);
    let update = |rows| expecting(rows, "UPDATE expected SET n = n + 1 RETURNING n", &[]);
    for (statements, index) in [
        (vec![update(1)], 0),
        (vec![insert.clone(), update(0)], 1),
        (vec![insert.clone(), update(1), update(2), insert.clone()], 2),
        (vec![insert.clone(), expecting(1, "CREATE TABLE more (a)", &[])], 1),
    ] {
        let found = ok(sql.batch(&statements)?)?;
        ensure!(found == Outcome::Unmet(index), "{statements:?} gives {found:?}, and statement {index} must be unmet");
        let left = ok(sql.query("SELECT * FROM expected", &[])?)?;
        ensure!(left.is_empty(), "{left:?} remains");
    }
    committed(sql.batch(&[insert, update(1), update(1)])?)?;
    Ok(())
}

fn a_violated_constraint_is_reported(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE bound (code TEXT UNIQUE CHECK (code <> 'no'), n INTEGER NOT NULL) STRICT", &[])?)?;
    ok(sql.execute("INSERT INTO bound VALUES ('a', 1)", &[])?)?;
    for wrong in ["('a', 2)", "('no', 2)", "('b', NULL)", "('b', 'text')"] {
        let found = kind(sql.execute(&format!("INSERT INTO bound VALUES {wrong}"), &[])?);
        ensure!(found.as_deref() == Some("constraint"), "{found:?} for {wrong}");
    }
    let left = ok(sql.query("SELECT code, n FROM bound", &[])?)?;
    ensure!(left == [[text("a"), integer(1)]], "{left:?}");
    Ok(())
}

fn a_missing_table_is_reported(sql: Sql) -> Result<()> {
    let found = [
        kind(sql.query("SELECT * FROM missing", &[])?),
        kind(sql.execute("DELETE FROM missing", &[])?),
        kind(sql.batch(&[statement("SELECT * FROM missing", &[])])?),
    ];
    ensure!(found.iter().all(|kind| kind.as_deref() == Some("no-such-table")), "{found:?}");
    Ok(())
}

fn a_wrong_statement_is_reported(sql: Sql) -> Result<()> {
    for wrong in ["", "SELEKT 1", "SELECT nothing", "SELECT ?1, ?2", "SELECT 1; SELECT 2"] {
        let found = kind(sql.query(wrong, &[integer(1)])?);
        ensure!(found.as_deref() == Some("other"), "{found:?} for {wrong:?}");
    }
    Ok(())
}

fn an_error_names_no_parameter(sql: Sql) -> Result<()> {
    const SECRET: &str = "a parameter that is nobody's business";
    ok(sql.execute("CREATE TABLE discreet (value TEXT UNIQUE, n INTEGER) STRICT", &[])?)?;
    ok(sql.execute("INSERT INTO discreet VALUES (?1, 1)", &[text(SECRET)])?)?;
    for wrong in [
        "INSERT INTO discreet VALUES (?1, 2)",
        "INSERT INTO discreet VALUES ('b', ?1)",
        "SELECT ?1, ?2",
        "SELECT json(?1)",
        "SELECT ?1 FROM missing",
        "SELECT ?1 FROM",
    ] {
        let error = sql.execute(wrong, &[text(SECRET)])?.err();
        let detail = error.as_ref().and_then(|error| error.detail.clone()).unwrap_or_default();
        ensure!(error.is_some() && !detail.contains("nobody"), "{error:?} for {wrong}");
    }
    Ok(())
}

/// Whatever these return, the next call finds no open transaction.
fn no_transaction_is_left_open(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE closed (n INTEGER)", &[])?)?;
    let insert = statement("INSERT INTO closed VALUES (1)", &[]);
    for wrong in ["BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT a", "ROLLBACK", "COMMIT", "RELEASE a"] {
        let _ = sql.query(wrong, &[])?;
        let _ = sql.execute(wrong, &[])?;
        committed(sql.batch(from_ref(&insert))?)?;
        ok(sql.execute("DELETE FROM closed", &[])?)?;
    }
    let left = ok(sql.query("SELECT count(*) FROM closed", &[])?)?;
    ensure!(left == [[integer(0)]], "{left:?}");
    Ok(())
}

fn a_full_database_is_reported(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE filled (value BLOB)", &[])?)?;
    let found = kind(sql.batch(&[
        statement("INSERT INTO filled VALUES (?1)", &[integer(1)]),
        // SQLite raises this to the number of pages in use.
        statement("PRAGMA max_page_count = 1", &[]),
        statement("INSERT INTO filled VALUES (?1)", &[json!({ "blob-of-size": 1024 * 1024 })]),
    ])?);
    let left = ok(sql.query("SELECT count(*) FROM filled", &[])?)?;
    // The next call may have the same connection, so lift its limit.
    committed(sql.batch(&[statement("PRAGMA max_page_count = 1000000000", &[])])?)?;
    ok(sql.execute("INSERT INTO filled VALUES (?1)", &[json!({ "blob-of-size": 1024 * 1024 })])?)?;
    ensure!(found.as_deref() == Some("full"), "{found:?}");
    ensure!(left == [[integer(0)]], "{left:?} remains");
    Ok(())
}
