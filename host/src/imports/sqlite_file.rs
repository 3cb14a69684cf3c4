//! The files of an SQLite database: which ones a connection has open, whether another process has
//! written to them, and when to open them again.
//!
//! # Design decisions
//! - An open connection goes on reading a file that was deleted or replaced under it. So a call
//!   checks first that the path still leads to the file that was opened.
//! - After a fault everything that is open is suspect, and the next call opens it again
//!   ([`Reopening`]).
//! - A process that closes any descriptor of a file loses its locks on that file (POSIX), and with
//!   them SQLite's, which keep other processes from removing the log. So [`Files`] are closed after
//!   the last connection, and passed on when the same files are opened again.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::Connection;

use crate::bindings::{sql, store};
use crate::private::{self, DirectoryError};

/// What SQLite appends to a database's name for its log, which it reads into any database of that
/// name.
pub(crate) const LOG_SUFFIX: &str = "-wal";

/// The same for the log's index, which all processes that have the database open share.
pub(crate) const INDEX_SUFFIX: &str = "-shm";

/// How every database begins (SQLite's file format, section 1.3).
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Connections, or whatever else is open over a database's files: opened at the first call, and
/// again after a fault.
#[derive(Debug)]
pub(crate) struct Reopening<T>(RwLock<Option<Arc<Opened<T>>>>);

/// What is open now.
#[derive(Debug)]
pub(crate) struct Opened<T> {
    value: T,
    is_suspect: AtomicBool,
}

/// Both files of one database. Drop them after the last connection.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    database: Arc<OpenFile>,
    index: Option<Arc<OpenFile>>,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    id: FileId,
}

/// The device and inode that a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

/// The header of the log's index (SQLite's WAL-mode file format, section 2.1), which changes with
/// every commit of every process.
///
/// It holds the number of the commit, the log's length, checksum and salts. SQLite itself compares
/// it, and nothing else, to decide whether the pages that it has in memory are still valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revision([u8; Revision::BYTES]);

/// Why a database's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the database file was replaced")]
    Replaced,
    #[error("{0} is not a readable SQLite database")]
    NotDatabase(&'static str),
    #[error("{0} is missing but its log {0}{LOG_SUFFIX} is there: restore {0} or remove the log")]
    Orphan(&'static str),
    #[error("cannot create {0}: {1}")]
    NotCreated(&'static str, Box<dyn std::error::Error>),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<T> Reopening<T> {
    /// What is open. If nothing is, or it is suspect, `open` gets the value that was open before,
    /// to reuse its [`Files`].
    pub(crate) fn get<E>(&self, open: impl FnOnce(Option<&T>) -> Result<T, E>) -> Result<Arc<Opened<T>>, E> {
        let sound = |current: &Option<Arc<Opened<T>>>| current.as_ref().filter(|opened| opened.is_sound()).cloned();
        if let Some(opened) = sound(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(opened);
        }
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = sound(&current) {
            return Ok(opened);
        }
        let value = open(current.as_deref().map(|before| &before.value))?;
        Ok(current.insert(Arc::new(Opened { value, is_suspect: AtomicBool::new(false) })).clone())
    }
}

impl<T> Default for Reopening<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> Opened<T> {
    /// The next call opens the files again.
    pub(crate) fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Relaxed);
    }

    fn is_sound(&self) -> bool {
        !self.is_suspect.load(Ordering::Relaxed)
    }
}

impl<T> Deref for Opened<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl Files {
    /// Opens the database's file and checks that it is a database. SQLite does not: it would read
    /// all pages from a log that an earlier database left behind.
    pub(crate) fn open(directory: &Path, name: &'static str, before: Option<&Self>) -> Result<Self, Fault> {
        let before = before.map(|before| &before.database);
        let database = OpenFile::open(&directory.join(name), before)?;
        let mut header = [0; SQLITE_HEADER.len()];
        if database.file.read_exact_at(&mut header, 0).is_err() || header != *SQLITE_HEADER {
            return Err(Fault::NotDatabase(name));
        }
        Ok(Self { database, index: None })
    }

    /// Opens the log's index. It exists once a connection has read from the database, for as long
    /// as that connection is open; a database that somebody has set to have no log has no index.
    pub(crate) fn open_index(&mut self, directory: &Path, name: &str, before: Option<&Self>) -> Result<(), Fault> {
        let before = before.and_then(|before| before.index.as_ref());
        self.index = match OpenFile::open(&directory.join(format!("{name}{INDEX_SUFFIX}")), before) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened?),
        };
        Ok(())
    }

    pub(crate) fn database(&self) -> FileId {
        self.database.id
    }

    /// The database's present revision: one read of the index, and no lock.
    ///
    /// `None` where it is unknown: the index does not exist, has no header yet, or is being written
    /// (its two copies of the header differ then).
    pub(crate) fn revision(&self) -> Option<Revision> {
        let mut copies = [[0; Revision::BYTES]; 2];
        self.index.as_ref()?.file.read_exact_at(copies.as_flattened_mut(), 0).ok()?;
        let [first, second] = copies;
        (first == second && first[Revision::IS_INITIALISED] != 0).then_some(Revision(first))
    }
}

impl OpenFile {
    /// Opens a file, or returns the one that was open `before` if the path still leads to it.
    fn open(path: &Path, before: Option<&Arc<Self>>) -> io::Result<Arc<Self>> {
        if let Some(before) = before
            && before.id == FileId::from(&fs::metadata(path)?)
        {
            return Ok(before.clone());
        }
        let file = File::open(path)?;
        let id = FileId::from(&file.metadata()?);
        Ok(Arc::new(Self { file, id }))
    }
}

impl FileId {
    /// Checks that the path still leads to this file.
    pub(crate) fn check(self, path: &Path) -> Result<(), Fault> {
        if Self::from(&fs::metadata(path)?) == self { Ok(()) } else { Err(Fault::Replaced) }
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

impl Revision {
    const BYTES: usize = 48;

    /// Offset of the commit's number: 32 bits in the machine's own byte order.
    const COMMIT: usize = 8;

    /// Offset of the byte that is 1 once the header was written.
    const IS_INITIALISED: usize = 12;

    /// Whether exactly one commit leads from `before` to this revision.
    pub(crate) fn follows(&self, before: &Self) -> bool {
        self.commit() == before.commit().wrapping_add(1)
    }

    fn commit(&self) -> u32 {
        let [.., a, b, c, d] = self.0[..Self::COMMIT + 4] else { return 0 };
        u32::from_ne_bytes([a, b, c, d])
    }

    #[cfg(test)]
    pub(crate) const fn of(commit: u8) -> Self {
        let mut header = [0; Self::BYTES];
        header[Self::COMMIT] = commit;
        Self(header)
    }
}

/// Creates the data directory (mode 0700) and an empty database in it (mode 0600), unless they
/// exist. Other users must not be able to write to those that do.
///
/// The file appears with its schema or not at all: it is created under another name and linked into
/// place.
pub(crate) fn create(directory: &Path, name: &'static str, schema: &str) -> Result<(), Fault> {
    private::create_directory(directory)?;
    for suffix in ["", LOG_SUFFIX] {
        private::check_file(&directory.join(format!("{name}{suffix}")))?;
    }
    // Looked for before the database, which always appears first: so a log without a database is
    // not another process in the middle of this.
    let has_log = directory.join(format!("{name}{LOG_SUFFIX}")).exists();
    if directory.join(name).exists() {
        Ok(())
    } else if has_log {
        Err(Fault::Orphan(name))
    } else {
        create_new(directory, name, schema).map_err(|error| Fault::NotCreated(name, error))
    }
}

fn create_new(directory: &Path, name: &str, schema: &str) -> Result<(), Box<dyn std::error::Error>> {
    let draft = directory.join(format!("{name}.{:016x}.draft", getrandom::u64()?));
    // SQLite gives its log files the permissions of the database.
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    let connection = Connection::open(&draft)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(&format!("BEGIN;{schema}COMMIT;"))?;
    connection.close().map_err(|(_, error)| error)?;
    let linked = match fs::hard_link(&draft, directory.join(name)) {
        // Another process created it first: its database is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    fs::remove_file(&draft)?;
    linked?;
    File::open(directory)?.sync_all()?;
    Ok(())
}

impl Fault {
    /// The fault as an interface's error, whose constructors these are.
    fn into_error<E>(self, missing: E, denied: E, unavailable: fn(String) -> E, other: fn(String) -> E) -> E {
        match &self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => missing,
            Self::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => denied,
            Self::Io(_) | Self::Replaced => unavailable(self.to_string()),
            Self::NotDatabase(_) | Self::Orphan(_) | Self::NotCreated(..) | Self::Directory(_) => {
                other(self.to_string())
            }
        }
    }
}

impl From<Fault> for store::Error {
    fn from(fault: Fault) -> Self {
        fault.into_error(Self::NoSuchStore, Self::AccessDenied, Self::Unavailable, Self::Other)
    }
}

impl From<Fault> for sql::Error {
    fn from(fault: Fault) -> Self {
        fault.into_error(Self::NoSuchDatabase, Self::AccessDenied, Self::Unavailable, Self::Other)
    }
}
