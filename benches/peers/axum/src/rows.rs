//! Three ways to store licences.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use countersign::{key::KeyHash, license::License};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

/// How licences are stored.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// All in a hash map, read at the start: changes are not seen
    Map,
    /// One read of SQLite for each request
    Sqlite,
    /// Rows cached until the database changes
    Cached,
}

/// The licences.
pub(crate) enum Rows {
    Map(HashMap<String, Arc<License>>),
    Sqlite(PathBuf),
    Cached(PathBuf),
}

/// One thread's connection and cache. Threads share nothing, so nothing is locked.
struct Reader {
    connection: Connection,
    /// SQLite's `data_version` when `cache` was filled. It differs once the database has changed.
    version: i64,
    cache: HashMap<String, Arc<License>>,
}

/// The most rows that one thread caches. Beyond it, the cache is cleared.
const MAX_CACHED: usize = 100_000;

thread_local! {
    static READER: RefCell<Option<Reader>> = const { RefCell::new(None) };
}

impl Rows {
    pub(crate) fn open(kind: Kind, database: PathBuf) -> Result<Self> {
        Ok(match kind {
            Kind::Map => Self::Map(read_all(&database)?),
            Kind::Sqlite => Self::Sqlite(database),
            Kind::Cached => Self::Cached(database),
        })
    }

    /// The licence of a key.
    pub(crate) fn get(&self, key: &KeyHash) -> Result<Option<Arc<License>>> {
        let key = key.store_key();
        match self {
            Self::Map(map) => Ok(map.get(&key).cloned()),
            Self::Sqlite(database) => with_reader(database, |reader| read(&reader.connection, &key)),
            Self::Cached(database) => with_reader(database, |reader| reader.cached(key)),
        }
    }
}

impl Reader {
    fn cached(&mut self, key: String) -> Result<Option<Arc<License>>> {
        let version = self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if version != self.version || self.cache.len() >= MAX_CACHED {
            self.cache.clear();
            self.version = version;
        }
        if let Some(license) = self.cache.get(&key) {
            return Ok(Some(license.clone()));
        }
        let license = read(&self.connection, &key)?;
        if let Some(license) = &license {
            self.cache.insert(key, license.clone());
        }
        Ok(license)
    }
}

fn with_reader<T>(database: &Path, call: impl FnOnce(&mut Reader) -> Result<T>) -> Result<T> {
    READER.with_borrow_mut(|slot| match slot {
        Some(reader) => call(reader),
        slot => {
            let reader = Reader { connection: connect(database)?, version: 0, cache: HashMap::new() };
            call(slot.insert(reader))
        }
    })
}

fn read(connection: &Connection, key: &str) -> Result<Option<Arc<License>>> {
    let mut select = connection.prepare_cached("SELECT value FROM entries WHERE key = ?1")?;
    let value = select.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    value.map(|value| Ok(Arc::new(License::from_json(&value)?))).transpose()
}

fn read_all(database: &Path) -> Result<HashMap<String, Arc<License>>> {
    let connection = connect(database)?;
    let mut select =
        connection.prepare("SELECT key, value FROM entries WHERE key >= 'license:' AND key < 'license;'")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    rows.map(|row| {
        let (key, value) = row?;
        Ok((key, Arc::new(License::from_json(&value)?)))
    })
    .collect()
}

fn connect(database: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(database, flags).with_context(|| format!("cannot open {}", database.display()))
}
