//! A client of the guest `sql-contract`, which makes HTTP requests into calls of `sql`.

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client;

/// A database behind a host that serves the contract guest.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    /// The host's address.
    pub address: SocketAddr,
}

/// An answer of the database; `Err` is an error of the interface.
pub type Answered<T> = Result<T, SqlError>;

/// Rows. Each is an array of values: `null`, `{"integer": "1"}`, `{"real": 0.5}`, `{"text": "a"}`
/// or `{"blob": [0]}`.
pub type Rows = Vec<Vec<Value>>;

/// An error of the interface `sql`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SqlError {
    /// Its case in WIT, such as `no-such-table`.
    pub kind: String,
    /// Its text, for an operator.
    #[serde(default)]
    pub detail: Option<String>,
}

/// The outcome of a batch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// The rows that each statement returned.
    Committed(Vec<Rows>),
    /// The index of the statement that returned another number of rows than it must.
    Unmet(u32),
}

/// A statement with its parameters.
#[must_use]
pub fn statement(sql: &str, parameters: &[Value]) -> Value {
    json!({ "sql": sql, "parameters": parameters })
}

/// A [`statement`] that must return `rows` rows.
#[must_use]
pub fn expecting(rows: u32, sql: &str, parameters: &[Value]) -> Value {
    json!({ "sql": sql, "parameters": parameters, "expect": rows })
}

/// An integer as a value.
#[must_use]
pub fn integer(integer: i64) -> Value {
    json!({ "integer": integer.to_string() })
}

/// A text as a value.
#[must_use]
pub fn text(text: &str) -> Value {
    json!({ "text": text })
}

impl Sql {
    /// Runs one statement that reads.
    pub fn query(self, sql: &str, parameters: &[Value]) -> Result<Answered<Rows>> {
        self.call(&json!({ "query": statement(sql, parameters) }))
    }

    /// Runs one statement that writes.
    pub fn execute(self, sql: &str, parameters: &[Value]) -> Result<Answered<Rows>> {
        self.call(&json!({ "execute": statement(sql, parameters) }))
    }

    /// Runs statements in one transaction.
    pub fn batch(self, statements: &[Value]) -> Result<Answered<Outcome>> {
        self.call(&json!({ "batch": statements }))
    }

    fn call<T: serde::de::DeserializeOwned>(self, call: &Value) -> Result<Answered<T>> {
        // A path of the registrar's, because a host may grant the database to that app only.
        let answer = client::send(self.address, "POST", "/api/v1/licenses/sql", &[], call.to_string().as_bytes())?;
        ensure!(answer.status == 200, "status {} to {call}: {}", answer.status, answer.text());
        let Value::Object(mut answer) = answer.json()? else { bail!("the answer to {call} must be an object") };
        match (answer.remove("ok"), answer.remove("error")) {
            (Some(ok), None) => {
                Ok(Ok(serde_json::from_value(ok.clone())
                    .with_context(|| format!("{ok} is not a valid answer to {call}"))?))
            }
            (None, Some(error)) => Ok(Err(serde_json::from_value(error)?)),
            _ => Err(anyhow!("the answer to {call} has neither `ok` nor `error`")),
        }
    }
}
