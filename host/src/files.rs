//! The store's files, read beside SQLite: which ones they are, and whether anyone has written.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use crate::bindings::store::Error;

/// The database's name in the data directory.
pub const FILE_NAME: &str = "countersign.db";

/// SQLite's name for the log beside it. It would be read into any database of that name.
pub(crate) const LOG_NAME: &str = "countersign.db-wal";

/// SQLite's name for the log's index, which all processes that have the database open share.
const INDEX_NAME: &str = "countersign.db-shm";

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

impl FileId {
    /// That the path still leads to this file.
    pub(crate) fn check(self, path: &Path) -> Result<(), Error> {
        if Self::from(&fs::metadata(path).map_err(fault)?) == self {
            Ok(())
        } else {
            Err(Error::Unavailable("the database file was replaced".into()))
        }
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
    pub(crate) fn open(directory: &Path, before: Option<&Self>) -> Result<Self, Error> {
        let before = before.map(|before| &before.database);
        let database = OpenFile::open(&directory.join(FILE_NAME), before).map_err(fault)?;
        let mut header = [0; SQLITE_HEADER.len()];
        if database.file.read_exact_at(&mut header, 0).is_err() || header != *SQLITE_HEADER {
            return Err(Error::Other(format!("{FILE_NAME} is not a database or cannot be read")));
        }
        Ok(Self { database, index: None })
    }

    /// Opens the log's index, which is there once a connection has read from the database, and is not removed while that is open.
    /// A database that somebody has set to have no log has none either.
    pub(crate) fn open_index(&mut self, directory: &Path, before: Option<&Self>) -> Result<(), Error> {
        let before = before.and_then(|before| before.index.as_ref());
        self.index = match OpenFile::open(&directory.join(INDEX_NAME), before) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened.map_err(fault)?),
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

fn fault(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::NoSuchStore,
        io::ErrorKind::PermissionDenied => Error::AccessDenied,
        _ => Error::Unavailable(error.to_string()),
    }
}
