//! The database: reads for everyone, and the values that statements take. Writes of resources go through `change`.

use countersign::time::Timestamp;

use crate::bindings::countersign::license::sql::{self, Error, Statement};
use crate::host::journal;
use crate::sql::schema;
use crate::wire::problem::Problem;

pub(crate) use crate::bindings::countersign::license::sql::Value;

/// Rows of one statement that only reads. `sql` is made of this app's constants; whatever a caller sent is a parameter.
pub(crate) fn query(sql: &str, parameters: Vec<Value>) -> Result<Vec<Row>, Problem> {
    sql::query(&statement(sql, parameters, None)).map(rows).map_err(problem)
}

/// The one row of such a statement, or none.
pub(crate) fn query_one(sql: &str, parameters: Vec<Value>) -> Result<Option<Row>, Problem> {
    Ok(query(sql, parameters)?.into_iter().next())
}

/// One statement that writes what is no resource: no event tells of it, and nothing is kept for a retry.
pub(crate) fn execute(sql: &str, parameters: Vec<Value>) -> Result<Vec<Row>, Problem> {
    sql::execute(&statement(sql, parameters, None)).map(rows).map_err(problem)
}

pub(crate) fn statement(sql: &str, parameters: Vec<Value>, expect: Option<u32>) -> Statement {
    Statement { sql: sql.into(), parameters, expect }
}

pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// Numbers beyond 2⁶³ are none that this app counts to.
pub(crate) fn integer(number: impl TryInto<i64>) -> Value {
    Value::Integer(number.try_into().unwrap_or(i64::MAX))
}

pub(crate) fn moment(moment: Timestamp) -> Value {
    Value::Integer(moment.unix())
}

pub(crate) fn blob(bytes: impl Into<Vec<u8>>) -> Value {
    Value::Blob(bytes.into())
}

/// A value that may not be there.
pub(crate) fn optional<T>(value: Option<T>, parameter: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, parameter)
}

/// A list of rows in the order of their numbers, with conditions of which some may not be asked for.
pub(crate) struct Select {
    sql: String,
    parameters: Vec<Value>,
}

impl Select {
    /// `SELECT number, … FROM … WHERE number > ?`, and the number after which the list begins.
    pub(crate) fn after(sql: &str, number: i64) -> Self {
        Self { sql: sql.into(), parameters: vec![Value::Integer(number)] }
    }

    /// Adds a condition with one `?`, if there is a value for it.
    pub(crate) fn and(mut self, condition: &str, value: Option<Value>) -> Self {
        if let Some(value) = value {
            self.sql += " AND ";
            self.sql += condition;
            self.parameters.push(value);
        }
        self
    }

    /// The rows of a page, and one more if there is a next.
    pub(crate) fn page(mut self, limit: u32) -> Result<Vec<Row>, Problem> {
        self.sql += " ORDER BY number LIMIT ?";
        self.parameters.push(integer(limit + 1));
        query(&self.sql, self.parameters)
    }
}

/// A row, whose columns are counted from 0. One of another type than it is asked for is a fault of the database's content.
pub(crate) struct Row(Vec<Value>);

impl Row {
    pub(crate) fn text(&self, column: usize) -> Result<&str, Problem> {
        self.optional_text(column)?.ok_or(Problem::CORRUPT)
    }

    pub(crate) fn integer(&self, column: usize) -> Result<i64, Problem> {
        self.optional_integer(column)?.ok_or(Problem::CORRUPT)
    }

    /// A number that is never below zero.
    pub(crate) fn count(&self, column: usize) -> Result<u64, Problem> {
        self.integer(column)?.try_into().map_err(|_| Problem::CORRUPT)
    }

    pub(crate) fn moment(&self, column: usize) -> Result<Timestamp, Problem> {
        self.integer(column).map(Timestamp::from_unix)
    }

    pub(crate) fn blob(&self, column: usize) -> Result<&[u8], Problem> {
        self.optional_blob(column)?.ok_or(Problem::CORRUPT)
    }

    /// A SHA-256 hash.
    pub(crate) fn hash(&self, column: usize) -> Result<[u8; 32], Problem> {
        self.blob(column)?.try_into().map_err(|_| Problem::CORRUPT)
    }

    /// A text that is JSON.
    pub(crate) fn json(&self, column: usize) -> Result<serde_json::Value, Problem> {
        serde_json::from_str(self.text(column)?).map_err(|_| Problem::CORRUPT)
    }

    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<&str>, Problem> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(Problem::CORRUPT),
        }
    }

    pub(crate) fn optional_integer(&self, column: usize) -> Result<Option<i64>, Problem> {
        match self.0.get(column) {
            Some(Value::Integer(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            _ => Err(Problem::CORRUPT),
        }
    }

    pub(crate) fn optional_moment(&self, column: usize) -> Result<Option<Timestamp>, Problem> {
        Ok(self.optional_integer(column)?.map(Timestamp::from_unix))
    }

    pub(crate) fn optional_blob(&self, column: usize) -> Result<Option<&[u8]>, Problem> {
        match self.0.get(column) {
            Some(Value::Blob(bytes)) => Ok(Some(bytes)),
            Some(Value::Null) => Ok(None),
            _ => Err(Problem::CORRUPT),
        }
    }

    /// A text that is JSON, where there is one.
    pub(crate) fn optional_json(&self, column: usize) -> Result<Option<serde_json::Value>, Problem> {
        self.optional_text(column)?.map(serde_json::from_str).transpose().map_err(|_| Problem::CORRUPT)
    }
}

fn rows(rows: Vec<Vec<Value>>) -> Vec<Row> {
    rows.into_iter().map(Row).collect()
}

/// What a caller is told of a database that gave no answer. Its words are the operator's, and hold no parameter.
pub(crate) fn problem(error: Error) -> Problem {
    let reason = match &error {
        Error::Unavailable(_) => "sql-unavailable",
        Error::Busy => "sql-busy",
        Error::Full => "sql-full",
        Error::NoSuchDatabase => "sql-no-such-database",
        Error::AccessDenied => "sql-access-denied",
        Error::Constraint(_) => "sql-constraint",
        Error::NoSuchTable => {
            // The database is another than it was: its schema is to be looked at again.
            schema::forget();
            "sql-no-such-table"
        }
        Error::Other(_) => "sql-other",
    };
    if let Error::Unavailable(detail) | Error::Constraint(detail) | Error::Other(detail) = &error {
        journal::note_fault(reason, detail);
    }
    Problem::Unavailable { reason }
}
