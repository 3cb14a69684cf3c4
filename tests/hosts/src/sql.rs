//! The client of the guest `sql-contract`, which turns HTTP into calls of the interface `sql`.

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client;

/// A database behind a host that serves the contract guest.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    /// Where that host listens.
    pub address: SocketAddr,
}

/// An answer of the database: `Err` is an error of the interface, `kind` its case.
pub type Answered<T> = Result<T, SqlError>;

/// Each row is an array of values: `null`, `{"integer": "1"}`, `{"real": 0.5}`, `{"text": "a"}`, `{"blob": [0]}`.
pub type Rows = Vec<Vec<Value>>;

/// An error of the interface `sql`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SqlError {
    /// As in WIT: `no-such-table`.
    pub kind: String,
    /// For an operator.
    #[serde(default)]
    pub detail: Option<String>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// The rows that each statement returned.
    Committed(Vec<Rows>),
    /// Which statement returned another number of rows than it had to.
    Unmet(u32),
}

/// A statement with its parameters.
#[must_use]
pub fn statement(sql: &str, parameters: &[Value]) -> Value {
    json!({ "sql": sql, "parameters": parameters })
}

/// As [`statement`], which must return so many rows.
#[must_use]
pub fn expecting(rows: u32, sql: &str, parameters: &[Value]) -> Value {
    json!({ "sql": sql, "parameters": parameters, "expect": rows })
}

/// The value that is this integer.
#[must_use]
pub fn integer(integer: i64) -> Value {
    json!({ "integer": integer.to_string() })
}

/// The value that is this text.
#[must_use]
pub fn text(text: &str) -> Value {
    json!({ "text": text })
}

impl Sql {
    /// One statement that reads.
    pub fn query(self, sql: &str, parameters: &[Value]) -> Result<Answered<Rows>> {
        self.call(&json!({ "query": statement(sql, parameters) }))
    }

    /// One statement that writes.
    pub fn execute(self, sql: &str, parameters: &[Value]) -> Result<Answered<Rows>> {
        self.call(&json!({ "execute": statement(sql, parameters) }))
    }

    /// Statements in one transaction.
    pub fn batch(self, statements: &[Value]) -> Result<Answered<Outcome>> {
        self.call(&json!({ "batch": statements }))
    }

    fn call<T: serde::de::DeserializeOwned>(self, call: &Value) -> Result<Answered<T>> {
        // Where a host gives only the registrar a database, what is below this path is the registrar's.
        let answer = client::send(self.address, "POST", "/api/v1/licenses/sql", &[], call.to_string().as_bytes())?;
        ensure!(answer.status == 200, "status {} to {call}: {}", answer.status, answer.text());
        let Value::Object(mut answer) = answer.json()? else { bail!("no object answers {call}") };
        match (answer.remove("ok"), answer.remove("error")) {
            (Some(ok), None) => {
                Ok(Ok(serde_json::from_value(ok.clone()).with_context(|| format!("{ok} answers {call}"))?))
            }
            (None, Some(error)) => Ok(Err(serde_json::from_value(error)?)),
            _ => Err(anyhow!("neither ok nor error answers {call}")),
        }
    }
}
