//! The `sql` interface over one SQLite file in the data directory.
//!
//! # Design decisions
//! - One connection writes and a few read, and no two calls share one: a read sees the state of one
//!   commit and waits for no writer. A call waits for its connection as a task, for
//!   [`SQL_BUSY_TIMEOUT`] at most, and then runs on a thread for blocking work.
//! - All writes are immediate transactions. Whatever ends one early rolls it back, so the next call
//!   never finds one open.
//! - A statement that takes too long is interrupted: it would occupy its connection long after its
//!   request has met its deadline.
//! - The guest can neither attach another file nor begin or end a transaction, so it reaches only
//!   this database.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rusqlite::limits::Limit;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params_from_iter};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::sqlite_file::{self, Files, Opened, Reopening};
use crate::bindings::sql::{Error, Outcome, Row, Statement, Value};
use crate::limits::{
    MAX_SQL_ANSWER_BYTES, SQL_BUSY_TIMEOUT, SQL_DEADLINE, SQL_READERS, SQL_STATEMENTS, SQL_VALUE_OVERHEAD,
};
use crate::pool::Pool;

/// The database's name in the data directory.
pub const FILE_NAME: &str = "registrar.db";

/// Says whose database it is: `file` and other tools show it.
pub(crate) const APPLICATION_ID: i64 = 0x4353_5247;

/// Instructions of SQLite's virtual machine between two checks of the deadline: far less than a
/// millisecond.
const STEPS_PER_CHECK: i32 = 10_000;

/// The database of one data directory, for all calls of a process.
#[derive(Debug)]
pub struct Sql {
    directory: PathBuf,
    current: Reopening<Current>,
    /// Permits to write and to read.
    writers: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

/// Fields are dropped in this order: the files after the connections, see [`Files`].
#[derive(Debug)]
struct Current {
    writer: Mutex<Connection>,
    readers: Pool<Connection>,
    path: PathBuf,
    files: Files,
}

impl Sql {
    /// Creates the data directory and an empty database in it, unless they exist. The database is
    /// opened at the first call.
    ///
    /// # Errors
    /// If the database cannot be created.
    pub fn create(directory: &Path) -> Result<Self, Error> {
        sqlite_file::create(directory, FILE_NAME, &format!("PRAGMA application_id = {APPLICATION_ID};"))?;
        Ok(Self {
            directory: directory.to_owned(),
            current: Reopening::default(),
            writers: Arc::new(Semaphore::new(1)),
            readers: Arc::new(Semaphore::new(SQL_READERS)),
        })
    }

    /// `sql.query`.
    ///
    /// # Errors
    /// Those of `wit/sql.wit`.
    pub async fn query(self: &Arc<Self>, statement: Statement) -> Result<Vec<Row>, Error> {
        self.call(&self.readers, move |current| current.read(&statement)).await
    }

    /// `sql.execute`.
    ///
    /// # Errors
    /// Those of `wit/sql.wit`.
    pub async fn execute(self: &Arc<Self>, statement: Statement) -> Result<Vec<Row>, Error> {
        match self.batch(vec![Statement { expect: None, ..statement }]).await? {
            Outcome::Committed(mut rows) => Ok(rows.pop().unwrap_or_default()),
            Outcome::Unmet(_) => Err(Error::Other("a statement without `expect` was not committed".into())),
        }
    }

    /// `sql.batch`.
    ///
    /// # Errors
    /// Those of `wit/sql.wit`.
    pub async fn batch(self: &Arc<Self>, statements: Vec<Statement>) -> Result<Outcome, Error> {
        self.call(&self.writers, move |current| current.write(&statements)).await
    }

    /// Waits for a permit and runs the call, which goes on to its end even if its caller gives up.
    async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        permits: &Arc<Semaphore>,
        call: impl FnOnce(&Current) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let stopped = || Error::Unavailable("the host is stopping".into());
        let permit = timeout(SQL_BUSY_TIMEOUT, permits.clone().acquire_owned()).await.map_err(|_| Error::Busy)?;
        let permit = permit.map_err(|_| stopped())?;
        let database = self.clone();
        let run = move || {
            let current = database.current()?;
            let answer = call(&current).inspect_err(|error| note(&current, error));
            drop(permit);
            answer
        };
        spawn_blocking(run).await.map_err(|_| stopped())?
    }

    fn current(&self) -> Result<Arc<Opened<Current>>, Error> {
        self.current.get(|before| {
            Current::open(&self.directory, before)
                .inspect_err(|error| tracing::error!(%error, "the registrar's database cannot be opened"))
        })
    }
}

/// Logs a fault of the database. After a fault of its file everything that is open is suspect.
fn note(current: &Opened<Current>, error: &Error) {
    match error {
        Error::Busy | Error::Full => tracing::warn!(%error, "the registrar's database refused a call"),
        Error::Constraint(_) | Error::NoSuchTable => {}
        Error::Unavailable(_) | Error::NoSuchDatabase | Error::AccessDenied | Error::Other(_) => {
            tracing::error!(%error, "a call of the registrar's database failed");
            current.suspect();
        }
    }
}

impl Current {
    fn open(directory: &Path, before: Option<&Self>) -> Result<Self, Error> {
        let files = Files::open(directory, FILE_NAME, before.map(|before| &before.files))?;
        let path = directory.join(FILE_NAME);
        let writer = connect(&path)?;
        writer.pragma_update(None, "synchronous", "FULL").map_err(fault)?;
        // What was erased must not stay in free space of the file.
        writer.pragma_update(None, "secure_delete", "ON").map_err(fault)?;
        Ok(Self { writer: Mutex::new(writer), readers: Pool::new(SQL_READERS), path, files })
    }

    fn read(&self, statement: &Statement) -> Result<Vec<Row>, Error> {
        self.files.database().check(&self.path)?;
        let mut connection = match self.readers.take() {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        if !connection.prepare_cached(&statement.sql).map_err(fault)?.readonly() {
            return Err(Error::Other("a query must not write".into()));
        }
        set_deadline(&mut connection)?;
        let rows = run(&connection, statement)?;
        self.readers.put(connection);
        Ok(rows)
    }

    fn write(&self, statements: &[Statement]) -> Result<Outcome, Error> {
        self.files.database().check(&self.path)?;
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        set_deadline(&mut writer)?;
        let transaction = Transaction::new(&mut writer, TransactionBehavior::Immediate).map_err(fault)?;
        let mut answers = Vec::with_capacity(statements.len());
        for (statement, index) in statements.iter().zip(0..) {
            let rows = run(&transaction, statement)?;
            if statement.expect.is_some_and(|expected| rows.len() != expected as usize) {
                return Ok(Outcome::Unmet(index));
            }
            answers.push(rows);
        }
        transaction.commit().map_err(fault)?;
        Ok(Outcome::Committed(answers))
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(SQL_BUSY_TIMEOUT).map_err(fault)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0).map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(SQL_STATEMENTS);
    Ok(connection)
}

fn set_deadline(connection: &mut Connection) -> Result<(), Error> {
    let deadline = Instant::now() + SQL_DEADLINE;
    connection.progress_handler(STEPS_PER_CHECK, Some(move || Instant::now() > deadline)).map_err(fault)
}

fn run(connection: &Connection, statement: &Statement) -> Result<Vec<Row>, Error> {
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(fault)?;
    // As `COMMIT`, `ROLLBACK`, `ATTACH` and the pragmas that set something do neither.
    if prepared.readonly() && prepared.column_count() == 0 {
        return Err(Error::Other("a statement must read or write".into()));
    }
    let columns = prepared.column_count();
    let mut found = prepared.query(params_from_iter(&statement.parameters)).map_err(fault)?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.next().map_err(fault)? {
        let row = (0..columns).map(|column| value(row.get_ref(column).map_err(fault)?));
        let row = row.collect::<Result<Row, Error>>()?;
        bytes += row.iter().map(size).sum::<usize>();
        if bytes > MAX_SQL_ANSWER_BYTES {
            return Err(Error::Other(format!("the answer has more than {MAX_SQL_ANSWER_BYTES} bytes")));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn value(value: ValueRef<'_>) -> Result<Value, Error> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(text) => {
            let text = str::from_utf8(text).map_err(|_| Error::Other("a text is not UTF-8".into()))?;
            Value::Text(text.to_owned())
        }
        ValueRef::Blob(blob) => Value::Blob(blob.to_owned()),
    })
}

fn size(value: &Value) -> usize {
    SQL_VALUE_OVERHEAD
        + match value {
            Value::Null | Value::Integer(_) | Value::Real(_) => 0,
            Value::Text(text) => text.len(),
            Value::Blob(blob) => blob.len(),
        }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}

/// An error of SQLite in the words of `wit/sql.wit`. SQLite's messages name tables and columns and
/// quote statements, never a parameter.
fn fault(error: rusqlite::Error) -> Error {
    let (code, text) = match error {
        rusqlite::Error::SqliteFailure(error, text) => (error.code, text.unwrap_or_else(|| error.to_string())),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error.code, msg),
        other => return Error::Other(other.to_string()),
    };
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Error::Busy,
        ErrorCode::DiskFull => Error::Full,
        ErrorCode::ConstraintViolation => Error::Constraint(text),
        ErrorCode::OperationInterrupted => Error::Unavailable("a statement took too long".into()),
        ErrorCode::CannotOpen
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::OutOfMemory
        | ErrorCode::SystemIoFailure => Error::Unavailable(text),
        ErrorCode::PermissionDenied | ErrorCode::ReadOnly => Error::AccessDenied,
        _ if text.starts_with("no such table") => Error::NoSuchTable,
        _ => Error::Other(text),
    }
}
