//! The `sql` interface over one SQLite file in the data directory.
//!
//! # Design decisions
//! - One connection writes and a few read, each call on one of its own: a read sees one commit's state and waits for no writer. Whoever
//!   waits for a connection waits as a task, and no longer than [`SQL_BUSY_TIMEOUT`]; what runs has a thread for blocking work.
//! - All writes are immediate transactions. Whatever ends one early rolls it back, so that the next call finds none open.
//! - A statement that takes too long is interrupted: it would keep its connection long after its request has met its deadline.
//! - The guest can neither attach another file nor begin or end a transaction: the database is all that it is given.
//! - Each call first looks that the path still leads to the file that was opened; after a fault the file is opened anew.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rusqlite::limits::Limit;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params_from_iter};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::bindings::sql::{Error, Outcome, Row, Statement, Value};
use crate::files::{self, Files};
use crate::idle::Idle;
use crate::limits::{
    MAX_SQL_ANSWER_BYTES, SQL_BUSY_TIMEOUT, SQL_DEADLINE, SQL_READERS, SQL_STATEMENTS, SQL_VALUE_OVERHEAD,
};

/// The database's name in the data directory.
pub const FILE_NAME: &str = "registrar.db";

/// An empty database, which says of itself what it is (`file` and others show it).
const SCHEMA: &str = "PRAGMA application_id = 0x43535247;";

/// Instructions of SQLite's machine between two looks at the clock: far less than a millisecond.
const STEPS_PER_LOOK: i32 = 10_000;

/// The database of one data directory, for all calls of one process.
#[derive(Debug)]
pub struct Sql {
    directory: PathBuf,
    opened: Mutex<Option<Arc<Opened>>>,
    /// Who may write, and who may read, now.
    writing: Arc<Semaphore>,
    reading: Arc<Semaphore>,
}

/// Fields are dropped in this order: the files after the connections, see [`Files`].
#[derive(Debug)]
struct Opened {
    writer: Mutex<Connection>,
    readers: Idle<Connection>,
    path: PathBuf,
    files: Files,
    /// After a fault: the next call opens the database anew.
    is_suspect: AtomicBool,
}

impl Sql {
    /// Makes the data directory and an empty database in it, if they are not there. It is opened at the first call.
    pub fn create(directory: &Path) -> Result<Self, Error> {
        files::create(directory, FILE_NAME, SCHEMA)?;
        Ok(Self {
            directory: directory.to_owned(),
            opened: Mutex::default(),
            writing: Arc::new(Semaphore::new(1)),
            reading: Arc::new(Semaphore::new(SQL_READERS)),
        })
    }

    /// `sql.query`.
    pub async fn query(self: &Arc<Self>, statement: Statement) -> Result<Vec<Row>, Error> {
        self.call(&self.reading, move |opened| opened.read(&statement)).await
    }

    /// `sql.execute`.
    pub async fn execute(self: &Arc<Self>, statement: Statement) -> Result<Vec<Row>, Error> {
        match self.batch(vec![Statement { expect: None, ..statement }]).await? {
            Outcome::Committed(mut rows) => Ok(rows.pop().unwrap_or_default()),
            Outcome::Unmet(_) => Err(Error::Other("a statement without an expectation did not meet it".into())),
        }
    }

    /// `sql.batch`.
    pub async fn batch(self: &Arc<Self>, statements: Vec<Statement>) -> Result<Outcome, Error> {
        self.call(&self.writing, move |opened| opened.write(&statements)).await
    }

    /// Waits for a place and runs the call, which goes on to its end even if nobody waits for it any more.
    async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        places: &Arc<Semaphore>,
        call: impl FnOnce(&Opened) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let stopped = || Error::Unavailable("the host is stopping".into());
        let place = timeout(SQL_BUSY_TIMEOUT, places.clone().acquire_owned()).await.map_err(|_| Error::Busy)?;
        let place = place.map_err(|_| stopped())?;
        let database = self.clone();
        let run = move || {
            let opened = database.opened()?;
            let answer = call(&opened).inspect_err(|error| opened.note(error));
            drop(place);
            answer
        };
        spawn_blocking(run).await.map_err(|_| stopped())?
    }

    fn opened(&self) -> Result<Arc<Opened>, Error> {
        let mut current = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = current.as_ref().filter(|it| !it.is_suspect.load(Ordering::Relaxed)) {
            return Ok(opened.clone());
        }
        let opened = Opened::open(&self.directory, current.as_deref())
            .inspect_err(|error| tracing::error!(%error, "the registrar's database cannot be opened"))?;
        Ok(current.insert(Arc::new(opened)).clone())
    }
}

impl Opened {
    fn open(directory: &Path, before: Option<&Self>) -> Result<Self, Error> {
        let files = Files::open(directory, FILE_NAME, before.map(|before| &before.files))?;
        let path = directory.join(FILE_NAME);
        let writer = connect(&path)?;
        writer.pragma_update(None, "synchronous", "FULL").map_err(fault)?;
        let (readers, is_suspect) = (Idle::new(SQL_READERS), AtomicBool::new(false));
        Ok(Self { writer: Mutex::new(writer), readers, path, files, is_suspect })
    }

    fn note(&self, error: &Error) {
        match error {
            Error::Busy | Error::Full => tracing::warn!(%error, "the registrar's database"),
            Error::Constraint(_) | Error::NoSuchTable => {}
            Error::Unavailable(_) | Error::NoSuchDatabase | Error::AccessDenied | Error::Other(_) => {
                tracing::error!(%error, "a call of the registrar's database failed");
                self.is_suspect.store(true, Ordering::Relaxed);
            }
        }
    }

    fn read(&self, statement: &Statement) -> Result<Vec<Row>, Error> {
        self.files.database().check(&self.path)?;
        let mut connection = match self.readers.take() {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        if !connection.prepare_cached(&statement.sql).map_err(fault)?.readonly() {
            return Err(Error::Other("a query that writes".into()));
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
    connection.progress_handler(STEPS_PER_LOOK, Some(move || Instant::now() > deadline)).map_err(fault)
}

/// Runs one statement to its end.
fn run(connection: &Connection, statement: &Statement) -> Result<Vec<Row>, Error> {
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(fault)?;
    // Such are `COMMIT`, `ROLLBACK`, `ATTACH`, and those pragmas that set something.
    if prepared.readonly() && prepared.column_count() == 0 {
        return Err(Error::Other("a statement that neither reads nor writes".into()));
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
            let text = str::from_utf8(text).map_err(|_| Error::Other("a text that is not UTF-8".into()))?;
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

/// What SQLite reports, in the words of `wit/sql.wit`. Its messages name tables and columns and quote statements, never a parameter.
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
