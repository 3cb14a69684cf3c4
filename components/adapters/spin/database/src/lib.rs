//! The adapter for `sql` over Spin's SQLite databases: a local file or, by Spin's runtime
//! configuration, libSQL.
//!
//! Spin opens a new connection for each call of `open`, so a batch is a transaction on a connection
//! of its own. If the batch ends early, dropping the connection rolls it back.

use bindings::adapter::exports::countersign::license::sql::{Error, Guest, Outcome, Row, Statement, Value};
use bindings::host::fermyon::spin::sqlite::{self, Connection, RowResult};
use bindings::host::fermyon::spin::variables;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Adapter;

    /// Our side of the adapter.
    pub mod adapter {
        wit_bindgen::generate!({ path: "../../../../wit", world: "sql-adapter", pub_export_macro: true });
    }

    /// Spin's side.
    pub mod host {
        wit_bindgen::generate!({
            path: "../common/wit",
            inline: "
                package countersign:sql-spin-sqlite;

                world host {
                    import fermyon:spin/sqlite@2.0.0;
                    import fermyon:spin/variables@2.0.0;
                }
            ",
            world: "countersign:sql-spin-sqlite/host",
            generate_all,
        });
    }

    adapter::export!(Adapter with_types_in adapter);
}

struct Adapter;

impl Guest for Adapter {
    fn query(statement: Statement) -> Result<Vec<Row>, Error> {
        run(&open()?, statement)
    }

    fn execute(statement: Statement) -> Result<Vec<Row>, Error> {
        run(&open()?, statement)
    }

    fn batch(statements: Vec<Statement>) -> Result<Outcome, Error> {
        let database = open()?;
        // From here on there is no other writer.
        database.execute("BEGIN IMMEDIATE", &[]).map_err(error)?;
        let mut answers = Vec::with_capacity(statements.len());
        for (statement, index) in statements.into_iter().zip(0..) {
            let expect = statement.expect;
            let rows = run(&database, statement)?;
            if expect.is_some_and(|expected| rows.len() != expected as usize) {
                return Ok(Outcome::Unmet(index));
            }
            answers.push(rows);
        }
        database.execute("COMMIT", &[]).map_err(error)?;
        Ok(Outcome::Committed(answers))
    }
}

/// Opens the database whose label is in the variable `database`, or else `default`.
fn open() -> Result<Connection, Error> {
    let label = match variables::get("database") {
        Ok(label) if !label.is_empty() => label,
        Ok(_) | Err(variables::Error::Undefined(_) | variables::Error::InvalidName(_)) => "default".into(),
        Err(variables::Error::Provider(text) | variables::Error::Other(text)) => return Err(Error::Unavailable(text)),
    };
    Connection::open(&label).map_err(error)
}

fn run(database: &Connection, statement: Statement) -> Result<Vec<Row>, Error> {
    let parameters: Vec<_> = statement.parameters.into_iter().map(sqlite::Value::from).collect();
    let found = database.execute(&statement.sql, &parameters).map_err(error)?;
    Ok(found.rows.into_iter().map(|RowResult { values }| values.into_iter().map(Value::from).collect()).collect())
}

impl From<Value> for sqlite::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(integer) => Self::Integer(integer),
            Value::Real(real) => Self::Real(real),
            Value::Text(text) => Self::Text(text),
            Value::Blob(blob) => Self::Blob(blob),
        }
    }
}

impl From<sqlite::Value> for Value {
    fn from(value: sqlite::Value) -> Self {
        match value {
            sqlite::Value::Null => Self::Null,
            sqlite::Value::Integer(integer) => Self::Integer(integer),
            sqlite::Value::Real(real) => Self::Real(real),
            sqlite::Value::Text(text) => Self::Text(text),
            sqlite::Value::Blob(blob) => Self::Blob(blob),
        }
    }
}

/// A case of [`Error`], with a text for operators if it has one.
type Kind = fn(String) -> Error;

/// The errors that callers distinguish, by SQLite's messages: Spin passes on nothing else. libSQL
/// prefixes them with words of its own.
const MESSAGES: [(&str, Kind); 9] = [
    ("database is locked", |_| Error::Busy),
    ("database table is locked", |_| Error::Busy),
    ("database or disk is full", |_| Error::Full),
    ("constraint failed", Error::Constraint),
    ("cannot store ", Error::Constraint),
    ("no such table", |_| Error::NoSuchTable),
    ("disk I/O error", Error::Unavailable),
    ("unable to open database", Error::Unavailable),
    ("out of memory", Error::Unavailable),
];

fn error(error: sqlite::Error) -> Error {
    match error {
        sqlite::Error::NoSuchDatabase => Error::NoSuchDatabase,
        sqlite::Error::AccessDenied => Error::AccessDenied,
        sqlite::Error::InvalidConnection => Error::Unavailable("the connection was closed".into()),
        sqlite::Error::DatabaseFull => Error::Full,
        sqlite::Error::Io(text) => {
            let known = MESSAGES.iter().find(|(message, _)| text.contains(message));
            known.map_or(Error::Other as Kind, |(_, kind)| *kind)(text)
        }
    }
}
