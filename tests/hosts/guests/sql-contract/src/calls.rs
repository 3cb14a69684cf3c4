//! The requests, each one call of `sql`.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::answers;
use crate::bindings::countersign::license::sql::{self, Error, Statement, Value};

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Call {
    Query(Asked),
    Execute(Asked),
    Batch(Vec<Asked>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    sql: String,
    #[serde(default)]
    parameters: Vec<Option<Given>>,
    expect: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Given {
    Integer(String),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    TextOfSize(usize),
    BlobOfSize(usize),
}

pub(crate) fn run(call: Call) -> Result<Json, Error> {
    match call {
        Call::Query(asked) => Ok(answers::rows(sql::query(&asked.statement()?)?)),
        Call::Execute(asked) => Ok(answers::rows(sql::execute(&asked.statement()?)?)),
        Call::Batch(asked) => {
            let statements = asked.into_iter().map(Asked::statement).collect::<Result<Vec<_>, _>>()?;
            Ok(answers::outcome(sql::batch(&statements)?))
        }
    }
}

impl Asked {
    fn statement(self) -> Result<Statement, Error> {
        let parameters = self.parameters.into_iter().map(|given| given.map_or(Ok(Value::Null), Given::value));
        Ok(Statement { sql: self.sql, parameters: parameters.collect::<Result<_, _>>()?, expect: self.expect })
    }
}

impl Given {
    fn value(self) -> Result<Value, Error> {
        Ok(match self {
            Self::Integer(integer) => Value::Integer(
                integer.parse().map_err(|_| Error::Other("an integer must be a decimal string of 64 bits".into()))?,
            ),
            Self::Real(real) => Value::Real(real),
            Self::Text(text) => Value::Text(text),
            Self::Blob(blob) => Value::Blob(blob),
            Self::TextOfSize(size) => Value::Text("x".repeat(size)),
            Self::BlobOfSize(size) => Value::Blob(vec![b'x'; size]),
        })
    }
}
