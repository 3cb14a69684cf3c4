//! The database: reads for every handler, and the values of statements. Resources are written by
//! `write::change` alone.

use countersign::time::Timestamp;

use crate::bindings::countersign::license::sql::{self, Error, Statement};
use crate::host::journal;
use crate::wire::problem::{Problem, corrupt};

pub(crate) use crate::bindings::countersign::license::sql::Value;

/// The rows of a statement that only reads. `sql` consists of this app's constants; everything from
/// a request is a parameter.
pub(crate) fn query(sql: &str, parameters: Vec<Value>) -> Result<Vec<Row>, Problem> {
    sql::query(&statement(sql, parameters, None)).map(rows).map_err(problem)
}

/// The first row of such a statement.
pub(crate) fn query_one(sql: &str, parameters: Vec<Value>) -> Result<Option<Row>, Problem> {
    Ok(query(sql, parameters)?.into_iter().next())
}

/// Runs a statement that writes something other than a resource: it gets no event, and no answer is
/// stored for a retry.
pub(crate) fn execute(sql: &str, parameters: Vec<Value>) -> Result<Vec<Row>, Problem> {
    sql::execute(&statement(sql, parameters, None)).map(rows).map_err(problem)
}

/// A statement that must return `expect` rows, if given, or else its batch is rolled back.
pub(crate) fn statement(sql: &str, parameters: Vec<Value>, expect: Option<u32>) -> Statement {
    Statement { sql: sql.into(), parameters, expect }
}

pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

/// Saturates: this app does not count as far as 2⁶³.
pub(crate) fn integer(number: impl TryInto<i64>) -> Value {
    Value::Integer(number.try_into().unwrap_or(i64::MAX))
}

pub(crate) fn moment(moment: Timestamp) -> Value {
    Value::Integer(moment.unix())
}

pub(crate) fn blob(bytes: impl Into<Vec<u8>>) -> Value {
    Value::Blob(bytes.into())
}

/// A value, or `NULL`.
pub(crate) fn optional<T>(value: Option<T>, parameter: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, parameter)
}

/// A list of rows in the order of their numbers, with optional conditions.
pub(crate) struct Select {
    sql: String,
    parameters: Vec<Value>,
}

impl Select {
    /// Takes `SELECT number, … FROM … WHERE number > ?`, and the number after which the list
    /// begins.
    pub(crate) fn after(sql: &str, number: i64) -> Self {
        Self { sql: sql.into(), parameters: vec![Value::Integer(number)] }
    }

    /// Adds a condition with one `?`, if it has a value.
    pub(crate) fn and(mut self, condition: &str, value: Option<Value>) -> Self {
        if let Some(value) = value {
            self.sql += " AND ";
            self.sql += condition;
            self.parameters.push(value);
        }
        self
    }

    /// The items of a page, and the number of the last one if more follow.
    pub(crate) fn page<T>(
        mut self,
        limit: u32,
        item: impl FnMut(&Row) -> Result<T, Problem>,
    ) -> Result<(Vec<T>, Option<i64>), Problem> {
        self.sql += " ORDER BY number LIMIT ?";
        // The row after the last one shows that more follow.
        self.parameters.push(integer(limit + 1));
        let mut rows = query(&self.sql, self.parameters)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|row| row.integer(0)).transpose()?;
        Ok((rows.iter().map(item).collect::<Result<_, _>>()?, next))
    }
}

/// A row, whose columns count from 0. A column of an unexpected type means that the database is
/// corrupt.
pub(crate) struct Row(Vec<Value>);

impl Row {
    pub(crate) fn text(&self, column: usize) -> Result<&str, Problem> {
        self.optional_text(column)?.ok_or_else(corrupt)
    }

    pub(crate) fn integer(&self, column: usize) -> Result<i64, Problem> {
        self.optional_integer(column)?.ok_or_else(corrupt)
    }

    /// A number that is never negative.
    pub(crate) fn count(&self, column: usize) -> Result<u64, Problem> {
        self.integer(column)?.try_into().map_err(|_| corrupt())
    }

    pub(crate) fn moment(&self, column: usize) -> Result<Timestamp, Problem> {
        self.integer(column).map(Timestamp::from_unix)
    }

    pub(crate) fn blob(&self, column: usize) -> Result<&[u8], Problem> {
        self.optional_blob(column)?.ok_or_else(corrupt)
    }

    /// A SHA-256 hash.
    pub(crate) fn hash(&self, column: usize) -> Result<[u8; 32], Problem> {
        self.blob(column)?.try_into().map_err(|_| corrupt())
    }

    /// A text that contains JSON.
    pub(crate) fn json(&self, column: usize) -> Result<serde_json::Value, Problem> {
        serde_json::from_str(self.text(column)?).map_err(|_| corrupt())
    }

    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<&str>, Problem> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(corrupt()),
        }
    }

    pub(crate) fn optional_integer(&self, column: usize) -> Result<Option<i64>, Problem> {
        match self.0.get(column) {
            Some(Value::Integer(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            _ => Err(corrupt()),
        }
    }

    pub(crate) fn optional_moment(&self, column: usize) -> Result<Option<Timestamp>, Problem> {
        Ok(self.optional_integer(column)?.map(Timestamp::from_unix))
    }

    pub(crate) fn optional_blob(&self, column: usize) -> Result<Option<&[u8]>, Problem> {
        match self.0.get(column) {
            Some(Value::Blob(bytes)) => Ok(Some(bytes)),
            Some(Value::Null) => Ok(None),
            _ => Err(corrupt()),
        }
    }

    /// A text that contains JSON, or `NULL`.
    pub(crate) fn optional_json(&self, column: usize) -> Result<Option<serde_json::Value>, Problem> {
        self.optional_text(column)?.map(serde_json::from_str).transpose().map_err(|_| corrupt())
    }
}

fn rows(rows: Vec<Vec<Value>>) -> Vec<Row> {
    rows.into_iter().map(Row).collect()
}

/// The reason of a problem whose cause is that the database has no tables.
pub(crate) const NO_SUCH_TABLE: &str = "sql-no-such-table";

/// The problem for an error of the database. Its message contains no parameter, and goes to the
/// operator's journal only.
pub(crate) fn problem(error: Error) -> Problem {
    let reason = match &error {
        Error::Unavailable(_) => "sql-unavailable",
        Error::Busy => "sql-busy",
        Error::Full => "sql-full",
        Error::NoSuchDatabase => "sql-no-such-database",
        Error::AccessDenied => "sql-access-denied",
        Error::Constraint(_) => "sql-constraint",
        Error::NoSuchTable => NO_SUCH_TABLE,
        Error::Other(_) => "sql-other",
    };
    if let Error::Unavailable(detail) | Error::Constraint(detail) | Error::Other(detail) = &error {
        journal::note_fault(reason, detail);
    }
    Problem::unavailable(reason)
}
