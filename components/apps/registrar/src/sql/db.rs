//! The database: reads for every handler, and the values of statements. Resources are written by
//! `write::change` alone.

use countersign::time::Timestamp;

use crate::bindings::countersign::license::sql::{self, Error, Statement};
use crate::host::journal;
use crate::limits::{MAX_LOOKED_AT, WINDOW};
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

/// A list of rows in the order of their numbers, or of their times, with optional conditions. It
/// looks at a bounded number of rows: a page that finds too few of them ends early, and the next
/// one goes on.
pub(crate) struct Select {
    columns: &'static str,
    table: &'static str,
    after: i64,
    order: Order,
    conditions: Conditions,
}

/// The order of a list, with what an index has in this order.
enum Order {
    Number(Conditions),
    /// By the column `at` and then by number, from the first of these moments to before the second.
    Time(i64, i64),
}

#[derive(Default)]
struct Conditions {
    /// Each preceded by `AND`.
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, condition: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.sql += " AND ";
            self.sql += condition;
            self.values.push(value);
        }
    }
}

impl Select {
    /// Takes the columns, of which the first is `number`, the table, and the number after which the
    /// list begins.
    pub(crate) fn after(columns: &'static str, table: &'static str, number: i64) -> Self {
        let (order, conditions) = (Order::Number(Conditions::default()), Conditions::default());
        Self { columns, table, after: number, order, conditions }
    }

    /// Has the list follow an index for this condition, which has one `?`, if there is a value.
    pub(crate) fn by_index(mut self, condition: &str, value: Option<Value>) -> Self {
        if let Order::Number(conditions) = &mut self.order {
            conditions.add(condition, value);
        }
        self
    }

    /// Has the list follow the index of times.
    pub(crate) fn by_time(self, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let [since, until] = [since, until].map(|moment| moment.map(Timestamp::unix));
        Self { order: Order::Time(since.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX)), ..self }
    }

    /// Adds a condition with one `?`, if there is a value. Its column begins with `+`, so that the
    /// list does not follow an index for it.
    pub(crate) fn and(mut self, condition: &str, value: Option<Value>) -> Self {
        self.conditions.add(condition, value);
        self
    }

    /// The items of a page, and the number after which the next one begins, if more may follow.
    pub(crate) fn page<T>(
        &self,
        limit: u32,
        mut item: impl FnMut(&Row) -> Result<T, Problem>,
    ) -> Result<(Vec<T>, Option<i64>), Problem> {
        let Self { columns, table, conditions, .. } = self;
        let order = match self.order {
            Order::Number(_) => "number",
            Order::Time(..) => "at, number",
        };
        let (mut items, mut after, mut looked_at) = (Vec::new(), self.after, 0);
        let entries = if conditions.sql.is_empty() { limit + 1 } else { WINDOW };
        loop {
            let (window, of_window) = self.window(after, entries)?;
            let page = format!(
                "SELECT {columns} FROM {table} WHERE number IN (SELECT number FROM ({window})){} ORDER BY {order} LIMIT ?",
                conditions.sql
            );
            // One more shows that more follow.
            let wanted = limit + 1 - items.len() as u32;
            let parameters = of_window.iter().chain(&conditions.values).cloned().chain([integer(wanted)]).collect();
            for row in query(&page, parameters)? {
                if items.len() == limit as usize {
                    return Ok((items, Some(after)));
                }
                after = row.integer(0)?;
                items.push(item(&row)?);
            }
            let end = format!("SELECT number FROM ({window}) ORDER BY {order} LIMIT 1 OFFSET ?");
            let parameters = of_window.into_iter().chain([integer(entries - 1)]).collect();
            let Some(end) = query_one(&end, parameters)? else { return Ok((items, None)) };
            after = end.integer(0)?;
            looked_at += entries;
            if looked_at >= MAX_LOOKED_AT {
                return Ok((items, Some(after)));
            }
        }
    }

    /// A statement for the next entries of the index, and its parameters.
    fn window(&self, after: i64, entries: u32) -> Result<(String, Vec<Value>), Problem> {
        let table = self.table;
        let (since, until) = match &self.order {
            Order::Number(Conditions { sql, values }) => {
                let parameters = [Value::Integer(after)].into_iter().chain(values.iter().cloned());
                let window = format!("SELECT number FROM {table} WHERE number > ?{sql} ORDER BY number LIMIT ?");
                return Ok((window, parameters.chain([integer(entries)]).collect()));
            }
            Order::Time(since, until) => (*since, *until),
        };
        let at = match query_one(&format!("SELECT at FROM {table} WHERE number = ?"), vec![Value::Integer(after)])? {
            Some(row) => row.integer(0)?,
            None => since.saturating_sub(1),
        };
        // First those of the same moment: an index of times is in the order of numbers for one
        // moment only.
        let window = format!(
            "SELECT * FROM (SELECT * FROM (SELECT number, at FROM {table} WHERE at = ? AND number > ? AND at >= ? AND at < ? \
             ORDER BY number LIMIT ?) UNION ALL SELECT * FROM (SELECT number, at FROM {table} WHERE at > ? AND at < ? \
             ORDER BY at, number LIMIT ?)) ORDER BY at, number LIMIT ?"
        );
        let later = at.max(since.saturating_sub(1));
        let parameters = [at, after, since, until, entries.into(), later, until, entries.into(), entries.into()];
        Ok((window, parameters.map(Value::Integer).to_vec()))
    }
}

/// A row, whose columns count from 0. A column of an unexpected type means that the database is
/// corrupt.
pub(crate) struct Row(Vec<Value>);

impl Row {
    pub(crate) fn value(&self, column: usize) -> Result<&Value, Problem> {
        self.0.get(column).ok_or_else(corrupt)
    }

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
