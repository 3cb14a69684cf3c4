//! The answers of `sql`, as JSON.

use serde_json::{Value as Json, json};

use crate::bindings::countersign::license::sql::{Error, Outcome, Row, Value};

pub(crate) fn of(result: Result<Json, Error>) -> Json {
    match result {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": self::error(error) }),
    }
}

pub(crate) fn rows(rows: Vec<Row>) -> Json {
    rows.into_iter().map(|row| row.into_iter().map(value).collect::<Json>()).collect()
}

pub(crate) fn outcome(outcome: Outcome) -> Json {
    match outcome {
        Outcome::Committed(answers) => json!({ "committed": answers.into_iter().map(rows).collect::<Json>() }),
        Outcome::Unmet(index) => json!({ "unmet": index }),
    }
}

fn value(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(integer) => json!({ "integer": integer.to_string() }),
        Value::Real(real) => json!({ "real": real }),
        Value::Text(text) => json!({ "text": text }),
        Value::Blob(blob) => json!({ "blob": blob }),
    }
}

fn error(error: Error) -> Json {
    let (kind, detail) = match error {
        Error::Unavailable(detail) => ("unavailable", detail),
        Error::Busy => ("busy", String::new()),
        Error::Full => ("full", String::new()),
        Error::NoSuchDatabase => ("no-such-database", String::new()),
        Error::AccessDenied => ("access-denied", String::new()),
        Error::Constraint(detail) => ("constraint", detail),
        Error::NoSuchTable => ("no-such-table", String::new()),
        Error::Other(detail) => ("other", detail),
    };
    json!({ "kind": kind, "detail": detail })
}
