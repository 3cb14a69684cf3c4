//! Copies of a data directory: [`backup`] makes one while servers write, and a [`Restoration`]
//! makes a data directory of one.
//!
//! # Design decisions
//! - Both databases are copied as of one moment. A lock keeps vendors from committing while both
//!   snapshots begin, which takes a few milliseconds. So the copied store has no record that the
//!   copied database does not know, and lacks none but those in the copied outbox.
//! - The snapshots are read transactions: writers do not wait for the copy. Their logs grow until
//!   it is complete.
//! - A copy appears under its name as a whole, or not at all: it is made beside, as a draft.
//! - A restoration reads its own copy of the backup, as SQLite writes into what it opens.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::bindings::store;
use crate::imports::sqlite_file::{Fault, Files, INDEX_SUFFIX, LOG_SUFFIX};
use crate::imports::store::Store;
use crate::imports::{sql, store as store_file};
use crate::limits::COMMAND_BUSY_TIMEOUT;

/// The databases of a data directory: all that a backup has.
const DATABASES: [&str; 2] = [store_file::FILE_NAME, sql::FILE_NAME];

/// Why a copy cannot be made or restored. The texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The place of the result is in use.
    #[error("{0} already exists; choose another name or move it away")]
    Exists(PathBuf),
    /// The directory has no store, which every data directory and every backup has.
    #[error("{0} has no {store}: it is neither a data directory nor a backup", store = store_file::FILE_NAME)]
    NoStore(PathBuf),
    /// The directory has no database of the registrar.
    #[error("{0} has no {database}: it is from a server without the vendor API", database = sql::FILE_NAME)]
    NoDatabase(PathBuf),
    /// A file is not the database that its name says, or is damaged.
    #[error("{0} {1}")]
    Damaged(PathBuf, String),
    /// Another process holds a lock, or SQLite failed.
    #[error("cannot copy {0}: {1}")]
    Sqlite(PathBuf, rusqlite::Error),
    /// A file or directory cannot be read or written.
    #[error("cannot write or read {0}: {1}")]
    Io(PathBuf, io::Error),
}

/// A directory under construction, removed on drop unless it was put in its place.
#[derive(Debug)]
struct Draft(PathBuf);

/// A data directory made of a backup, not yet in its place.
#[derive(Debug)]
pub struct Restoration {
    draft: Draft,
    place: PathBuf,
    keeps_store: bool,
}

/// Copies both databases of a data directory, as of one moment, to a new directory (mode 0700, its
/// files 0600), which is itself a data directory. Servers may write meanwhile.
///
/// # Errors
/// [`BackupError`]. Then `target` does not exist.
pub fn backup(data: &Path, target: &Path) -> Result<(), BackupError> {
    if !data.join(store_file::FILE_NAME).exists() {
        return Err(BackupError::NoStore(data.to_owned()));
    }
    check_absent(target)?;
    let names: Vec<_> = DATABASES.into_iter().filter(|name| data.join(name).exists()).collect();
    for name in &names {
        check_header(data, name)?;
    }
    let draft = Draft::beside(target)?;
    let lock = names.contains(&sql::FILE_NAME).then(|| lock(&data.join(sql::FILE_NAME))).transpose()?;
    let snapshots = names.iter().map(|name| snapshot(&data.join(name))).collect::<Result<Vec<_>, _>>()?;
    drop(lock);
    for (name, snapshot) in names.into_iter().zip(snapshots) {
        let copy = draft.0.join(name);
        create(&copy)?;
        copy_pages(&snapshot, &copy)?;
        settle(&copy, &data.join(name), Check::Quick)?;
    }
    draft.rename(target)
}

impl Restoration {
    /// Copies a backup beside the data directory `place`, and checks each database. `place` must be
    /// absent or empty; with `keeps_store` it must have a store, which stays, and no database of
    /// the registrar.
    ///
    /// The backup may also be a copy of a whole data directory, with the logs of its databases.
    ///
    /// # Errors
    /// [`BackupError`]. Nothing was changed.
    pub fn prepare(backup: &Path, place: &Path, keeps_store: bool) -> Result<Self, BackupError> {
        if !backup.join(store_file::FILE_NAME).exists() {
            return Err(BackupError::NoStore(backup.to_owned()));
        }
        if keeps_store {
            if !backup.join(sql::FILE_NAME).exists() {
                return Err(BackupError::NoDatabase(backup.to_owned()));
            }
            if !place.join(store_file::FILE_NAME).exists() {
                return Err(BackupError::NoStore(place.to_owned()));
            }
            // SQLite would read the log of an earlier database into this one.
            for suffix in ["", LOG_SUFFIX, INDEX_SUFFIX] {
                check_absent(&place.join(format!("{}{suffix}", sql::FILE_NAME)))?;
            }
        } else if fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_some()) || place.is_file() {
            return Err(BackupError::Exists(place.to_owned()));
        }
        let draft = Draft::beside(place)?;
        for name in DATABASES.into_iter().filter(|name| backup.join(name).exists()) {
            check_header(backup, name)?;
            for file in [name.to_owned(), format!("{name}{LOG_SUFFIX}")] {
                copy_file(&backup.join(&file), &draft.0.join(&file))?;
            }
            settle(&draft.0.join(name), &backup.join(name), Check::Full)?;
        }
        let opened = Store::open(&draft.0, COMMAND_BUSY_TIMEOUT);
        opened.map_err(|error| match error {
            store::Error::Other(reason) => BackupError::Damaged(backup.join(store_file::FILE_NAME), reason),
            other => BackupError::Damaged(backup.join(store_file::FILE_NAME), other.to_string()),
        })?;
        Ok(Self { draft, place: place.to_owned(), keeps_store })
    }

    /// The draft, a whole data directory. Whoever opens it must close it before [`Self::finish`].
    pub fn directory(&self) -> &Path {
        &self.draft.0
    }

    /// Whether the draft has a database of the registrar.
    pub fn has_database(&self) -> bool {
        self.draft.0.join(sql::FILE_NAME).exists()
    }

    /// Puts the draft in its place: as a whole, or not at all.
    ///
    /// # Errors
    /// [`BackupError`]. Nothing was changed.
    pub fn finish(self) -> Result<(), BackupError> {
        for name in DATABASES.into_iter().filter(|name| self.draft.0.join(name).exists()) {
            let path = self.draft.0.join(name);
            settle(&path, &path, Check::None)?;
        }
        if !self.keeps_store {
            return self.draft.rename(&self.place);
        }
        // A link, unlike a rename, does not replace what another process has put there meanwhile.
        let place = self.place.join(sql::FILE_NAME);
        fs::hard_link(self.draft.0.join(sql::FILE_NAME), &place).map_err(|error| failed(&place, error))?;
        sync_directory(&self.place)
    }
}

/// Locks the registrar's database, so that no vendor's change is committed until this is dropped.
fn lock(path: &Path) -> Result<Connection, BackupError> {
    let lock = open(path)?;
    lock.execute_batch("BEGIN IMMEDIATE").map_err(|error| BackupError::Sqlite(path.to_owned(), error))?;
    Ok(lock)
}

/// A connection in a read transaction that has begun.
fn snapshot(path: &Path) -> Result<Connection, BackupError> {
    let snapshot = open(path)?;
    snapshot
        .execute_batch("BEGIN; SELECT 1 FROM sqlite_schema;")
        .map_err(|error| BackupError::Sqlite(path.to_owned(), error))?;
    Ok(snapshot)
}

fn copy_pages(from: &Connection, to: &Path) -> Result<(), BackupError> {
    let fault = |error| BackupError::Sqlite(to.to_owned(), error);
    let mut copy = open(to)?;
    // In one step, which goes on in the read transaction of `from` and so copies that snapshot.
    match Backup::new(from, &mut copy).and_then(|backup| backup.step(-1)).map_err(fault)? {
        StepResult::Done => Ok(()),
        _ => Err(BackupError::Damaged(to.to_owned(), "is in use by another process".into())),
    }
}

/// How thoroughly a database is checked.
#[derive(PartialEq, Eq)]
enum Check {
    None,
    /// All pages, but not whether indexes agree with their tables.
    Quick,
    Full,
}

/// Checks a copy that nobody else uses, and brings all of it into its one file, on the disk. Errors
/// name the original.
fn settle(path: &Path, original: &Path, check: Check) -> Result<(), BackupError> {
    let fault = |error| match error {
        rusqlite::Error::SqliteFailure(failure, _)
            if matches!(failure.code, rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) =>
        {
            BackupError::Damaged(original.to_owned(), "is damaged".into())
        }
        other => BackupError::Sqlite(original.to_owned(), other),
    };
    let database = open(path).map_err(|error| match error {
        BackupError::Sqlite(_, error) => fault(error),
        other => other,
    })?;
    database.pragma_update(None, "journal_mode", "WAL").map_err(fault)?;
    if let Some(pragma) = match check {
        Check::None => None,
        Check::Quick => Some("quick_check"),
        Check::Full => Some("integrity_check"),
    } {
        let found: String = database.query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get(0)).map_err(fault)?;
        if found != "ok" {
            // A line for the database, and then one for its first fault.
            let fault = found.lines().last().unwrap_or_default();
            return Err(BackupError::Damaged(original.to_owned(), format!("is damaged: {fault}")));
        }
        let owner: i64 = database.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(fault)?;
        let is_registrars = path.ends_with(sql::FILE_NAME);
        if is_registrars != (owner == sql::APPLICATION_ID) {
            let found = "is another database than its name says; have two files been exchanged?";
            return Err(BackupError::Damaged(original.to_owned(), found.into()));
        }
    }
    // The last connection that closes brings the log into the database, and removes it.
    database.close().map_err(|(_, error)| fault(error))?;
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| failed(path, error))
}

fn open(path: &Path) -> Result<Connection, BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(COMMAND_BUSY_TIMEOUT)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    };
    open().map_err(|error| BackupError::Sqlite(path.to_owned(), error))
}

/// Refuses a file that SQLite would take for an empty database. It is closed again before there is
/// a connection: see [`Files`].
fn check_header(directory: &Path, name: &'static str) -> Result<(), BackupError> {
    let reason = match Files::open(directory, name, None) {
        Ok(_) => return Ok(()),
        Err(Fault::NotDatabase(_)) => "is not a readable SQLite database".into(),
        Err(fault) => fault.to_string(),
    };
    Err(BackupError::Damaged(directory.join(name), reason))
}

fn check_absent(path: &Path) -> Result<(), BackupError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(BackupError::Exists(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(path, error)),
    }
}

/// Creates an empty file that only its owner may read. SQLite gives its logs the same mode.
fn create(path: &Path) -> Result<File, BackupError> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.map_err(|error| failed(path, error))
}

/// Copies a file, if it exists.
fn copy_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut source = match File::open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(|error| failed(from, error))?,
    };
    let mut copy = create(to)?;
    io::copy(&mut source, &mut copy).map(drop).map_err(|error| failed(to, error))
}

impl Draft {
    /// A new directory beside a path, in its parent, which is created if it is missing.
    fn beside(path: &Path) -> Result<Self, BackupError> {
        let parent = parent(path);
        fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        let random = getrandom::u64().map_err(|error| failed(path, io::Error::other(error.to_string())))?;
        let name = path.file_name().ok_or_else(|| BackupError::Exists(path.to_owned()))?.to_string_lossy();
        let draft = parent.join(format!(".{name}.{random:016x}.draft"));
        DirBuilder::new().mode(0o700).create(&draft).map_err(|error| failed(&draft, error))?;
        Ok(Self(draft))
    }

    /// Gives the directory its name, which must be free, or that of an empty directory.
    fn rename(self, name: &Path) -> Result<(), BackupError> {
        sync_directory(&self.0)?;
        fs::rename(&self.0, name).map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => BackupError::Exists(name.to_owned()),
            _ => failed(name, error),
        })?;
        sync_directory(parent(name))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; what cannot be removed now is visibly a draft.
        let _: io::Result<()> = fs::remove_dir_all(&self.0);
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_directory(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: io::Error) -> BackupError {
    BackupError::Io(path.to_owned(), error)
}
