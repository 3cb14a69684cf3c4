//! One connection to the store: the `store` interface over one SQLite file.
//!
//! # Design decisions
//! - Write-ahead log with `synchronous = FULL`: a commit returns after its log has reached the
//!   disk, so what was acknowledged survives a kill and a power cut. Readers wait for nobody.
//! - A version is the row's `AUTOINCREMENT` number, and every write creates a new row. SQLite never
//!   reuses such a number, so a key that was deleted and created again is not mistaken for its
//!   former self.
//! - Every condition is checked inside one immediate transaction: of racing writers exactly one
//!   wins each version, in this process or in another.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign::{
    limits::{MAX_LIST_KEYS, MAX_VALUE_BYTES},
    seam::{is_store_key, page},
};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::cache::Row;
#[cfg(doc)]
use super::shared::Shared;
use crate::bindings::store::{Capabilities, CompareAndSwap, Entry, Error, Expectation, Outcome, Page};
use crate::imports::sqlite_file::{self, Fault, FileId, Files};
use crate::limits::EXPIRED_PER_WRITE;
use crate::private;

/// The database's name in the data directory.
pub const FILE_NAME: &str = "countersign.db";

/// The version of the schema below (`PRAGMA user_version`).
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE entries (
        version INTEGER PRIMARY KEY AUTOINCREMENT,
        key     TEXT NOT NULL UNIQUE,
        value   BLOB NOT NULL,
        expires INTEGER                 -- seconds since 1970-01-01T00:00:00Z; NULL: never
    ) STRICT;
    CREATE INDEX entries_expires ON entries (expires) WHERE expires IS NOT NULL;
    PRAGMA user_version = 1;
";

/// One connection to the store of a data directory.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    file: FileId,
}

/// An open transaction that writes: all or none of its changes are applied.
#[derive(Debug)]
pub struct WriteTransaction<'a> {
    transaction: Transaction<'a>,
    now: i64,
}

impl Store {
    /// Creates the data directory (mode 0700) and an empty store in it (mode 0600), unless they
    /// exist, and opens the store.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Other`] if the store cannot be created.
    pub fn create(directory: &Path, busy_timeout: Duration) -> Result<Self, Error> {
        sqlite_file::create(directory, FILE_NAME, SCHEMA)?;
        Self::open(directory, busy_timeout)
    }

    /// Opens the store of a data directory.
    ///
    /// `busy_timeout` is how long a call waits for a writer in another process before it returns
    /// [`Error::Unavailable`].
    ///
    /// # Errors
    /// [`Error::NoSuchStore`] if there is none; [`Error::Other`] if it is not a store of this
    /// version, or if other users may write to the directory.
    pub fn open(directory: &Path, busy_timeout: Duration) -> Result<Self, Error> {
        // Opened and closed before there is a connection: closing it releases this process's locks
        // on the file (see `sqlite_file`).
        let file = Files::open(directory, FILE_NAME, None)?.database();
        private::check_directory(directory).map_err(Fault::from)?;
        Self::connect(&directory.join(FILE_NAME), file, busy_timeout)
    }

    /// Opens a connection to a database whose file was checked.
    pub(super) fn connect(path: &Path, file: FileId, busy_timeout: Duration) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
        connection.busy_timeout(busy_timeout).map_err(fault)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(fault)?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fault)?;
        if version != SCHEMA_VERSION {
            return Err(Error::Other(format!(
                "the store has schema {version}, but this program supports {SCHEMA_VERSION}: use a newer `countersign`"
            )));
        }
        Ok(Self { connection, path: path.to_owned(), file })
    }

    /// `store.get`.
    ///
    /// # Errors
    /// Those of `wit/store.wit`.
    pub fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        check_key(key)?;
        self.check_file()?;
        Ok(self.row(key)?.filter(|row| row.is_live(now())).map(|row| row.entry))
    }

    /// The row under the key, expired or not. Checks neither the key nor the file.
    pub(super) fn row(&self, key: &str) -> Result<Option<Row>, Error> {
        read(&self.connection, key)
    }

    /// Whether there are entries that have expired.
    pub(super) fn has_expired(&self) -> Result<bool, Error> {
        let mut select =
            self.connection.prepare_cached("SELECT 1 FROM entries WHERE expires <= ?1 LIMIT 1").map_err(fault)?;
        select.exists([now()]).map_err(fault)
    }

    /// `store.put`.
    ///
    /// # Errors
    /// Those of `wit/store.wit`.
    pub fn put(&self, key: &str, value: &[u8], expect: &Expectation, ttl: Option<u32>) -> Result<Outcome, Error> {
        self.write(|write| write.put(key, value, expect, ttl))
    }

    /// `store.delete`.
    ///
    /// # Errors
    /// Those of `wit/store.wit`.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.write(|write| write.delete(key))
    }

    /// `store.list-keys`. The cursor is the last key of the previous page; `limit` is clamped to
    /// 1 to [`MAX_LIST_KEYS`].
    ///
    /// # Errors
    /// Those of `wit/store.wit`.
    pub fn list_keys(&self, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Error> {
        if !prefix.is_empty() {
            check_key(prefix)?;
        }
        self.check_file()?;
        // A range of the unique index: no character of a key is greater than `z`.
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT key FROM entries WHERE key >= ?1 AND key < ?1 || '~' AND key > ?2
                 AND (expires IS NULL OR expires > ?3) ORDER BY key LIMIT ?4",
            )
            .map_err(fault)?;
        let one_more = i64::from(limit.clamp(1, MAX_LIST_KEYS)) + 1;
        let rows = select
            .query_map(params![prefix, cursor.unwrap_or_default(), now(), one_more], |row| row.get(0))
            .map_err(fault)?;
        let (keys, next) = page(rows.collect::<Result<_, _>>().map_err(fault)?, limit);
        Ok(Page { keys, next })
    }

    /// `store.describe`.
    pub fn describe() -> Capabilities {
        Capabilities {
            name: "native-sqlite".into(),
            compare_and_swap: CompareAndSwap::Atomic,
            ttl: true,
            lists: true,
            ordered_list: true,
            staleness_seconds: 0,
        }
    }

    /// Runs `steps` in one transaction, which is committed, and on the disk, when this returns
    /// `Ok`.
    ///
    /// # Errors
    /// Those of `steps` and of the commit; then nothing was changed.
    pub fn write<T, E: From<Error>>(&self, steps: impl FnOnce(&WriteTransaction<'_>) -> Result<T, E>) -> Result<T, E> {
        self.check_file()?;
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate).map_err(fault)?;
        let write = WriteTransaction { transaction, now: now() };
        let answer = steps(&write)?;
        write.transaction.commit().map_err(fault)?;
        Ok(answer)
    }

    fn check_file(&self) -> Result<(), Error> {
        Ok(self.file.check(&self.path)?)
    }
}

impl WriteTransaction<'_> {
    /// `store.put`, as one change of the transaction.
    ///
    /// # Errors
    /// Those of `wit/store.wit`.
    pub fn put(&self, key: &str, value: &[u8], expect: &Expectation, ttl: Option<u32>) -> Result<Outcome, Error> {
        check_key(key)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::TooLarge);
        }
        let present = read(&self.transaction, key)?.filter(|row| row.is_live(self.now)).map(|row| row.entry);
        let holds = match expect {
            Expectation::Any => true,
            Expectation::Absent => present.is_none(),
            Expectation::Matches(version) => present.as_ref().is_some_and(|entry| entry.version == *version),
        };
        if !holds {
            return Ok(Outcome::Conflict(present));
        }
        if ttl.is_some() {
            self.delete_expired(EXPIRED_PER_WRITE)?;
        }
        let mut replace = self
            .transaction
            .prepare_cached("INSERT OR REPLACE INTO entries (key, value, expires) VALUES (?1, ?2, ?3)")
            .map_err(fault)?;
        replace.execute(params![key, value, ttl.map(|ttl| self.now + i64::from(ttl))]).map_err(fault)?;
        Ok(Outcome::Stored(Some(self.transaction.last_insert_rowid().cast_unsigned())))
    }

    /// `store.delete`, as one change of the transaction.
    ///
    /// # Errors
    /// Those of `wit/store.wit`.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        check_key(key)?;
        let mut delete = self.transaction.prepare_cached("DELETE FROM entries WHERE key = ?1").map_err(fault)?;
        delete.execute([key]).map_err(fault)?;
        Ok(())
    }

    /// Whether the transaction still runs. A change that fails may end it, and undo the others.
    pub(super) fn is_open(&self) -> bool {
        !self.transaction.is_autocommit()
    }

    /// Deletes some of the entries that have expired, the oldest first. Who writes an entry that
    /// expires deletes a few, and so pays for the removal; [`Shared::clean`] deletes the rest.
    pub(super) fn delete_expired(&self, most: u32) -> Result<(), Error> {
        let mut delete = self
            .transaction
            .prepare_cached(
                "DELETE FROM entries WHERE version IN
                 (SELECT version FROM entries WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
            )
            .map_err(fault)?;
        delete.execute(params![self.now, most]).map_err(fault)?;
        Ok(())
    }
}

fn read(connection: &Connection, key: &str) -> Result<Option<Row>, Error> {
    let mut select =
        connection.prepare_cached("SELECT value, version, expires FROM entries WHERE key = ?1").map_err(fault)?;
    select
        .query_row([key], |row| {
            let entry = Entry { value: row.get(0)?, version: row.get::<_, i64>(1)?.cast_unsigned() };
            Ok(Row { entry, expires: row.get(2)? })
        })
        .optional()
        .map_err(fault)
}

pub(super) fn check_key(key: &str) -> Result<(), Error> {
    if is_store_key(key) { Ok(()) } else { Err(Error::InvalidKey) }
}

/// An error of SQLite in the words of `wit/store.wit`. It has only the code and its fixed text: a
/// message of SQLite may quote data.
fn fault(error: rusqlite::Error) -> Error {
    let Some(error) = error.sqlite_error() else { return Error::Other("the store has unexpected data".into()) };
    let text = error.to_string();
    match error.code {
        ErrorCode::CannotOpen
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::DiskFull
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::OutOfMemory
        | ErrorCode::SystemIoFailure => Error::Unavailable(text),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly => {
            Error::AccessDenied
        }
        ErrorCode::TooBig => Error::TooLarge,
        _ => Error::Other(text),
    }
}

pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
