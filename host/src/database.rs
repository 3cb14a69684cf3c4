//! The store as a server has it: many connections, and the rows that they have read.
//!
//! # Design decisions
//! - A read by SQLite locks and unlocks the log's index and begins and ends a transaction. Where nobody has written since a row was read
//!   the answer is that row: one call of the kernel says that the path still leads to the database, another that it is in the same
//!   [`State`](crate::files::State). The state is read before the row, so a row is never kept under a state that is newer than it.
//! - A commit of another process leaves no row valid: that needs no message between processes, and it is what SQLite does with its
//!   pages. After one of this process those that it did not write stay, if no other process has written in between.
//! - One connection is open as long as the rows are used. It keeps other processes from removing the log's index when they close
//!   theirs: a new index would begin anew, and the old would say for ever that nothing has changed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::bindings::store::{Entry, Error, Page};
use crate::files::Files;
use crate::idle::Idle;
use crate::limits::{SERVE_BUSY_TIMEOUT, WARM_CONNECTIONS};
use crate::rows::Rows;
use crate::store::{FILE_NAME, Store, check_key, now};
use crate::writer::Pending;

/// The store of one data directory, for all calls of one process.
#[derive(Debug)]
pub struct Database {
    directory: PathBuf,
    opened: RwLock<Option<Arc<Opened>>>,
}

/// Fields are dropped in this order: the files after the connections, see [`Files`].
#[derive(Debug)]
struct Opened {
    /// SQLite has one writer at a time. This one is always open.
    writer: Mutex<Store>,
    readers: Idle<Store>,
    rows: Rows,
    path: PathBuf,
    files: Files,
    /// After a fault: the next call opens the store anew.
    is_suspect: AtomicBool,
}

impl Database {
    /// The store is opened at the first call.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, opened: RwLock::default() }
    }

    /// `store.get`.
    pub fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        check_key(key)?;
        self.call(|opened| {
            opened.check_file()?;
            let now = now();
            let Some(state) = opened.files.state() else { return opened.read(|store| store.get(key)) };
            if let Some(answer) = opened.rows.get(key, state, now) {
                return Ok(answer);
            }
            let row = opened.read(|store| store.row(key))?;
            let answer = row.as_ref().filter(|row| row.is_there(now)).map(|row| row.entry.clone());
            opened.rows.keep(key, state, row);
            Ok(answer)
        })
    }

    /// Makes these writes in one transaction. It is committed, and on the disk, when this returns `Ok`; none was made otherwise.
    pub(crate) fn commit(&self, batch: &mut [Pending]) -> Result<(), Error> {
        self.call(|opened| {
            let writer = opened.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let mut before = None;
            let committed = writer.write(|write| {
                // From here to the commit no other process writes.
                before = opened.files.state();
                opened.rows.begin();
                for pending in &mut *batch {
                    if let Err(error) = pending.make(write) {
                        opened.note(error);
                        if !write.is_open() {
                            return Err(error.clone());
                        }
                    }
                }
                Ok(())
            });
            opened.rows.end(before.zip(opened.files.state()), batch.iter().map(Pending::key));
            committed
        })
    }

    /// `store.list-keys`.
    pub fn list_keys(&self, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Error> {
        self.call(|opened| opened.read(|store| store.list_keys(prefix, cursor, limit)))
    }

    /// After a fault all that is open is suspect, and the next call opens the store anew.
    fn call<T>(&self, call: impl FnOnce(&Opened) -> Result<T, Error>) -> Result<T, Error> {
        let opened = self.opened()?;
        call(&opened).inspect_err(|error| opened.note(error))
    }

    fn opened(&self) -> Result<Arc<Opened>, Error> {
        if let Some(opened) =
            self.opened.read().unwrap_or_else(PoisonError::into_inner).as_ref().filter(|it| it.is_sound())
        {
            return Ok(opened.clone());
        }
        let mut current = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = current.as_ref().filter(|it| it.is_sound()) {
            return Ok(opened.clone());
        }
        let opened = Opened::open(&self.directory, current.as_deref())
            .inspect_err(|error| tracing::error!(%error, "the store cannot be opened"))?;
        Ok(current.insert(Arc::new(opened)).clone())
    }
}

impl Opened {
    fn open(directory: &Path, before: Option<&Self>) -> Result<Self, Error> {
        let before = before.map(|before| &before.files);
        let mut files = Files::open(directory, FILE_NAME, before)?;
        let path = directory.join(FILE_NAME);
        let writer = Store::connect(&path, files.database(), SERVE_BUSY_TIMEOUT)?;
        files.open_index(directory, FILE_NAME, before)?;
        Ok(Self {
            writer: Mutex::new(writer),
            readers: Idle::new(WARM_CONNECTIONS),
            rows: Rows::default(),
            path,
            files,
            is_suspect: AtomicBool::new(false),
        })
    }

    fn is_sound(&self) -> bool {
        !self.is_suspect.load(Ordering::Relaxed)
    }

    fn note(&self, error: &Error) {
        if !matches!(error, Error::InvalidKey | Error::TooLarge) {
            tracing::error!(%error, "store call failed");
            self.is_suspect.store(true, Ordering::Relaxed);
        }
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
