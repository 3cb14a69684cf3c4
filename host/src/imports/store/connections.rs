//! The connections of one process to the store, and the rows that they have read.
//!
//! # Design decisions
//! - A read by SQLite locks and unlocks the log's index, and begins and ends a transaction. If
//!   nobody has written since a row was read, the answer is the cached row. That takes two system
//!   calls: one checks that the path still leads to the database, the other reads its [`Revision`].
//!   The revision is read before the row, so no row is cached under a revision newer than itself.
//! - A commit of another process invalidates all cached rows. That takes no message between
//!   processes, and is what SQLite does with its own pages. A commit of this process invalidates
//!   only the rows that it wrote, unless another process has committed in between.
//! - One connection is open for as long as the cache is used. It keeps other processes from
//!   removing the log's index when they close their last connection: a new index would start
//!   counting again, and the old one would never change.
//! - A change that fails leaves the others of its transaction as they are: it changes rows in one
//!   statement, and SQLite undoes that statement alone. Where it cannot, as on a full disk, it
//!   rolls the transaction back, and all its changes have failed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::cache::Cache;
use super::change::Change;
use super::sqlite::{FILE_NAME, Store, check_key, now};
use crate::bindings::store::{Entry, Error, Outcome, Page};
#[cfg(doc)]
use crate::imports::sqlite_file::Revision;
use crate::imports::sqlite_file::{Files, Opened, Reopening};
use crate::limits::{SERVE_BUSY_TIMEOUT, WARM_CONNECTIONS};
use crate::pool::Pool;

/// The connections to the store of one data directory.
#[derive(Debug)]
pub(super) struct Connections {
    directory: PathBuf,
    current: Reopening<Current>,
}

/// Fields are dropped in this order: the files after the connections, see [`Files`].
#[derive(Debug)]
struct Current {
    /// SQLite has one writer at a time. This connection is always open.
    writer: Mutex<Store>,
    readers: Pool<Store>,
    cache: Cache,
    path: PathBuf,
    files: Files,
}

impl Connections {
    /// The store is opened at the first call.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, current: Reopening::default() }
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        check_key(key)?;
        self.call(|current| {
            current.check_file()?;
            let now = now();
            let Some(revision) = current.files.revision() else { return current.read(|store| store.get(key)) };
            if let Some(answer) = current.cache.get(key, revision, now) {
                return Ok(answer);
            }
            let row = current.read(|store| store.row(key))?;
            let answer = row.as_ref().filter(|row| row.is_live(now)).map(|row| row.entry.clone());
            current.cache.insert(key, revision, row);
            Ok(answer)
        })
    }

    pub(super) fn list_keys(&self, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Error> {
        self.call(|current| current.read(|store| store.list_keys(prefix, cursor, limit)))
    }

    pub(super) fn has_expired(&self) -> Result<bool, Error> {
        self.call(|current| current.read(Store::has_expired))
    }

    /// Applies the changes in one transaction and returns the outcome of each. The transaction is
    /// committed, and on the disk, when this returns `Ok`; otherwise nothing was changed.
    pub(super) fn commit(&self, changes: &[Change]) -> Result<Vec<Result<Outcome, Error>>, Error> {
        self.call(|current| {
            let writer = current.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut before = None;
            let committed = writer.write(|transaction| {
                // From here to the commit no other process writes.
                before = current.files.revision();
                current.cache.begin_commit();
                let apply = |change: &Change| match change.apply(transaction) {
                    Err(error) if !transaction.is_open() => Err(error),
                    outcome => Ok(outcome.inspect_err(|error| note(current, error))),
                };
                changes.iter().map(apply).collect()
            });
            current.cache.end_commit(before.zip(current.files.revision()), changes.iter().filter_map(Change::key));
            committed
        })
    }

    fn call<T>(&self, call: impl FnOnce(&Opened<Current>) -> Result<T, Error>) -> Result<T, Error> {
        let current = self.current.get(|before| {
            Current::open(&self.directory, before)
                .inspect_err(|error| tracing::error!(%error, "the store cannot be opened"))
        })?;
        call(&current).inspect_err(|error| note(&current, error))
    }
}

/// Logs a fault of the store, after which everything that is open is suspect. An error that is the
/// call's own is not a fault.
fn note(current: &Opened<Current>, error: &Error) {
    if !matches!(error, Error::InvalidKey | Error::TooLarge) {
        tracing::error!(%error, "a call of the store failed");
        current.suspect();
    }
}

impl Current {
    fn open(directory: &Path, before: Option<&Self>) -> Result<Self, Error> {
        let before = before.map(|before| &before.files);
        let mut files = Files::open(directory, FILE_NAME, before)?;
        let path = directory.join(FILE_NAME);
        let writer = Store::connect(&path, files.database(), SERVE_BUSY_TIMEOUT)?;
        files.open_index(directory, FILE_NAME, before)?;
        Ok(Self {
            writer: Mutex::new(writer),
            readers: Pool::new(WARM_CONNECTIONS),
            cache: Cache::default(),
            path,
            files,
        })
    }

    fn check_file(&self) -> Result<(), Error> {
        Ok(self.files.database().check(&self.path)?)
    }

    /// Runs a call on a connection that no other call has.
    fn read<T>(&self, call: impl FnOnce(&Store) -> Result<T, Error>) -> Result<T, Error> {
        let store = match self.readers.take() {
            Some(store) => store,
            None => Store::connect(&self.path, self.files.database(), SERVE_BUSY_TIMEOUT)?,
        };
        let answer = call(&store)?;
        self.readers.put(store);
        Ok(answer)
    }
}
