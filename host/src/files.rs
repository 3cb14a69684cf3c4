//! Databases' files, made and read beside SQLite: which ones they are, and whether anyone has written.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use crate::bindings::{sql, store};

/// What SQLite appends to the name of a database for that of the log beside it. It would be read into any database of that name.
const LOG_SUFFIX: &str = "-wal";

/// The same for the log's index, which all processes that have the database open share.
const INDEX_SUFFIX: &str = "-shm";

/// How every database begins (SQLite's file format, section 1.3).
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// The device and inode that a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

/// Both files of one database, open for as long as a connection to it may be.
///
/// A process that closes any descriptor of a file loses its locks on that file (POSIX), and so SQLite's, which keep other processes
/// from removing the log. So these are closed after the last connection, and whoever opens the same files again is given them.
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

/// A state of the database: the header of its log's index (SQLite's WAL-mode file format, section 2.1).
///
/// Each commit, of whichever process, writes another: it has the number of the change, the length and checksum of the log and the
/// log's salts. SQLite itself compares it, and nothing else, to know whether the pages that it keeps in memory are still valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State([u8; State::BYTES]);

/// Why a database's files are of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the database file was replaced")]
    Replaced,
    #[error("{0} is not a database or cannot be read")]
    NoDatabase(&'static str),
    #[error("{0} is gone and its {0}{LOG_SUFFIX} is not: restore the one or remove the other")]
    Orphaned(&'static str),
    #[error("cannot make {0}: {1}")]
    NotMade(&'static str, Box<dyn std::error::Error>),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FileId {
    /// That the path still leads to this file.
    pub(crate) fn check(self, path: &Path) -> Result<(), Fault> {
        if Self::from(&fs::metadata(path)?) == self { Ok(()) } else { Err(Fault::Replaced) }
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

impl Files {
    /// Opens the database's file, and looks that it is one: SQLite itself would not. It would take all pages from the log, where one
    /// is left of a database that was there before.
    pub(crate) fn open(directory: &Path, name: &'static str, before: Option<&Self>) -> Result<Self, Fault> {
        let before = before.map(|before| &before.database);
        let database = OpenFile::open(&directory.join(name), before)?;
        let mut header = [0; SQLITE_HEADER.len()];
        if database.file.read_exact_at(&mut header, 0).is_err() || header != *SQLITE_HEADER {
            return Err(Fault::NoDatabase(name));
        }
        Ok(Self { database, index: None })
    }

    /// Opens the log's index, which is there once a connection has read from the database, and is not removed while that is open.
    /// A database that somebody has set to have no log has none either.
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

    /// The state that the database is in now: one read of the index, and no lock. `None` where it cannot be told: the index is being
    /// written (its two copies differ then), is not there, or has not begun.
    pub(crate) fn state(&self) -> Option<State> {
        let mut copies = [[0; State::BYTES]; 2];
        self.index.as_ref()?.file.read_exact_at(copies.as_flattened_mut(), 0).ok()?;
        let [first, second] = copies;
        (first == second && first[State::IS_BEGUN] != 0).then_some(State(first))
    }
}

impl OpenFile {
    /// Opens a file, or gives the one that was opened `before` if the path still leads to that.
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

impl State {
    const BYTES: usize = 48;
    /// Offset of the byte that is 1 once the header was written.
    const IS_BEGUN: usize = 12;

    /// Offset of the number of the change, 32 bits in the machine's own order.
    const CHANGE: usize = 8;

    /// Whether one commit, and no more, has led from `before` here.
    pub(crate) fn is_next_to(&self, before: &Self) -> bool {
        self.change() == before.change().wrapping_add(1)
    }

    fn change(&self) -> u32 {
        let [.., a, b, c, d] = self.0[..Self::CHANGE + 4] else { return 0 };
        u32::from_ne_bytes([a, b, c, d])
    }

    #[cfg(test)]
    pub(crate) const fn of(change: u8) -> Self {
        let mut header = [0; Self::BYTES];
        header[Self::CHANGE] = change;
        Self(header)
    }
}

/// Makes the data directory (mode 0700) and an empty database in it (mode 0600), if they are not there.
///
/// The file appears with its schema in it, or not at all: it is made under another name and linked into place.
pub(crate) fn create(directory: &Path, name: &'static str, schema: &str) -> Result<(), Fault> {
    // Asked for before the database, which is there first: a log without one is no other process' beginning.
    let has_log = directory.join(format!("{name}{LOG_SUFFIX}")).exists();
    if directory.join(name).exists() {
        Ok(())
    } else if has_log {
        Err(Fault::Orphaned(name))
    } else {
        make(directory, name, schema).map_err(|error| Fault::NotMade(name, error))
    }
}

fn make(directory: &Path, name: &str, schema: &str) -> Result<(), Box<dyn std::error::Error>> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let draft = directory.join(format!("{name}.{:016x}.draft", getrandom::u64()?));
    // SQLite gives its log files the permissions of the database.
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    let connection = Connection::open(&draft)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(&format!("BEGIN;{schema}COMMIT;"))?;
    connection.close().map_err(|(_, error)| error)?;
    let linked = match fs::hard_link(&draft, directory.join(name)) {
        // Another process was first: its database is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    fs::remove_file(&draft)?;
    linked?;
    File::open(directory)?.sync_all()?;
    Ok(())
}

impl From<Fault> for store::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(error) if error.kind() == io::ErrorKind::NotFound => Self::NoSuchStore,
            Fault::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::AccessDenied,
            Fault::Io(_) | Fault::Replaced => Self::Unavailable(fault.to_string()),
            Fault::NoDatabase(_) | Fault::Orphaned(_) | Fault::NotMade(..) => Self::Other(fault.to_string()),
        }
    }
}

impl From<Fault> for sql::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(error) if error.kind() == io::ErrorKind::NotFound => Self::NoSuchDatabase,
            Fault::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::AccessDenied,
            Fault::Io(_) | Fault::Replaced => Self::Unavailable(fault.to_string()),
            Fault::NoDatabase(_) | Fault::Orphaned(_) | Fault::NotMade(..) => Self::Other(fault.to_string()),
        }
    }
}
