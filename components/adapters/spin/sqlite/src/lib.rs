//! The adapter for Spin's SQLite databases: the store on Spin whose compare-and-swap is atomic.
//!
//! The condition is part of the statement that writes. SQLite runs a statement as a whole or not at
//! all, so exactly one of any number of writers wins. The table is created when a statement first
//! misses it. A row past its `expires` counts as absent, for readers and for conditions. A write to
//! its key overwrites it, and some writes of rows that expire delete others that have expired.

use countersign::limits::{MAX_LIST_KEYS, MAX_VALUE_BYTES};
use countersign::seam::{is_store_key, page};
use countersign_adapter_spin_common::bindings::exports::countersign::license::store::{
    Capabilities, CompareAndSwap, Entry, Error, Expectation, Freshness, Guest, Lookup, Outcome, Page,
};
use countersign_adapter_spin_common::spin::fermyon::spin::sqlite::{self, Connection, RowResult, Value};
use countersign_adapter_spin_common::{failure, store_label};

#[allow(unsafe_code)]
mod export {
    use super::Adapter;

    countersign_adapter_spin_common::bindings::export!(Adapter);
}

/// Every write generates a random `version` of 64 bits. So a key that was deleted or has expired,
/// and is created again, has a version that no earlier reader holds, and no counter needs to
/// outlive the row. `expires` is in seconds since 1970, or null for never. One statement a line, as
/// Spin runs one at a time.
const CREATE: &str = include_str!("../table.sql");

const GET: &str = "SELECT value, version FROM countersign_store \
    WHERE key = ?1 AND (expires IS NULL OR expires > unixepoch())";

const PUT_ANY: &str = "INSERT INTO countersign_store (key, value, version, expires) \
    VALUES (?1, ?2, random(), unixepoch() + ?3) \
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version, expires = excluded.expires \
    RETURNING version";

const PUT_ABSENT: &str = "INSERT INTO countersign_store (key, value, version, expires) \
    VALUES (?1, ?2, random(), unixepoch() + ?3) \
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version, expires = excluded.expires \
    WHERE countersign_store.expires <= unixepoch() \
    RETURNING version";

const PUT_MATCHES: &str = "UPDATE countersign_store SET value = ?2, version = random(), expires = unixepoch() + ?3 \
    WHERE key = ?1 AND version = ?4 AND (expires IS NULL OR expires > unixepoch()) \
    RETURNING version";

const DELETE: &str = "DELETE FROM countersign_store WHERE key = ?1";

/// The oldest rows that have expired. The index is named, so that without it this is an error, and
/// not a look at every row.
const DELETE_EXPIRED: &str = "DELETE FROM countersign_store WHERE key IN \
    (SELECT key FROM countersign_store INDEXED BY countersign_store_expires \
    WHERE expires <= unixepoch() ORDER BY expires LIMIT ?1)";

/// Of this many writes of an entry that expires, one deletes. A deletion is a commit of its own,
/// for which others wait: readers too, in SQLite's own journal mode.
const WRITES_PER_DELETION: u64 = 8;

/// Expired rows that one deletion deletes: a few more than all those writes add.
const EXPIRED_PER_DELETION: i64 = 32;

/// Reads only the range that begins at the cursor or the prefix. `~` sorts after every character of
/// a key. The `+` keeps SQLite from using the exclusion of the cursor as the range.
const LIST: &str = "SELECT key FROM countersign_store \
    WHERE key >= max(?1, ?2) AND +key > ?1 AND key < ?2 || '~' AND (expires IS NULL OR expires > unixepoch()) \
    ORDER BY key LIMIT ?3";

struct Adapter;

impl Guest for Adapter {
    fn get(key: String, _: Freshness) -> Result<Lookup, Error> {
        if !is_store_key(&key) {
            return Err(Error::InvalidKey);
        }
        Ok(Lookup { entry: read(key)?, age_seconds: 0, stale: false })
    }

    fn put(key: String, value: Vec<u8>, expect: Expectation, ttl: Option<u32>) -> Result<Outcome, Error> {
        if !is_store_key(&key) {
            return Err(Error::InvalidKey);
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::TooLarge);
        }
        let expires = ttl.is_some();
        let ttl = ttl.map_or(Value::Null, |seconds| Value::Integer(seconds.into()));
        let mut parameters = vec![Value::Text(key.clone()), Value::Blob(value), ttl];
        let statement = match expect {
            Expectation::Any => PUT_ANY,
            Expectation::Absent => PUT_ABSENT,
            Expectation::Matches(version) => {
                parameters.push(Value::Integer(version.cast_signed()));
                PUT_MATCHES
            }
        };
        let Some(row) = execute(statement, &parameters)?.pop() else { return Ok(Outcome::Conflict(read(key)?)) };
        let [Value::Integer(version)] = columns(row)? else { return Err(foreign()) };
        let version = version.cast_unsigned();
        // Versions are random.
        if expires && version.is_multiple_of(WRITES_PER_DELETION) {
            // The entry is written, and a later write tries this again.
            let _ = delete_expired();
        }
        Ok(Outcome::Stored(Some(version)))
    }

    fn delete(key: String) -> Result<(), Error> {
        if !is_store_key(&key) {
            return Err(Error::InvalidKey);
        }
        execute(DELETE, &[Value::Text(key)]).map(drop)
    }

    /// The cursor is the last key of the page before.
    fn list_keys(prefix: String, cursor: Option<String>, limit: u32) -> Result<Page, Error> {
        let one_more = i64::from(limit.clamp(1, MAX_LIST_KEYS)) + 1;
        let after = cursor.unwrap_or_default();
        let rows = execute(LIST, &[Value::Text(after), Value::Text(prefix), Value::Integer(one_more)])?;
        let keys = rows.into_iter().map(|row| match columns(row)? {
            [Value::Text(key)] => Ok(key),
            _ => Err(foreign()),
        });
        let (keys, next) = page(keys.collect::<Result<_, _>>()?, limit);
        Ok(Page { keys, next })
    }

    fn describe() -> Capabilities {
        Capabilities {
            name: "spin-sqlite".into(),
            compare_and_swap: CompareAndSwap::Atomic,
            ttl: true,
            lists: true,
            ordered_list: true,
            staleness_seconds: 0,
        }
    }
}

fn read(key: String) -> Result<Option<Entry>, Error> {
    let Some(row) = execute(GET, &[Value::Text(key)])?.pop() else { return Ok(None) };
    match columns(row)? {
        [Value::Blob(value), Value::Integer(version)] => Ok(Some(Entry { value, version: version.cast_unsigned() })),
        _ => Err(foreign()),
    }
}

fn delete_expired() -> Result<(), Error> {
    let database = open()?;
    let most = [Value::Integer(EXPIRED_PER_DELETION)];
    match database.execute(DELETE_EXPIRED, &most) {
        // A table of an earlier version.
        Err(sqlite::Error::Io(text)) if text.contains("no such index: countersign_store_expires") => {
            create(&database)?;
            database.execute(DELETE_EXPIRED, &most)
        }
        result => result,
    }
    .map_err(error)
    .map(drop)
}

/// Runs one statement. If the table does not exist, creates it and runs the statement again.
fn execute(statement: &str, parameters: &[Value]) -> Result<Vec<RowResult>, Error> {
    let database = open()?;
    let result = match database.execute(statement, parameters) {
        Err(sqlite::Error::Io(text)) if text.contains("no such table: countersign_store") => {
            create(&database)?;
            database.execute(statement, parameters)
        }
        result => result,
    };
    Ok(result.map_err(error)?.rows)
}

/// Creates what is not there of the table and its index.
fn create(database: &Connection) -> Result<(), Error> {
    CREATE.lines().try_for_each(|statement| database.execute(statement, &[]).map_err(error).map(drop))
}

fn open() -> Result<Connection, Error> {
    Connection::open(&store_label()?).map_err(error)
}

fn columns<const N: usize>(row: RowResult) -> Result<[Value; N], Error> {
    row.values.try_into().map_err(|_| foreign())
}

fn foreign() -> Error {
    Error::Other("the table countersign_store has columns of other types than this adapter creates".into())
}

fn error(error: sqlite::Error) -> Error {
    match error {
        sqlite::Error::NoSuchDatabase => Error::NoSuchStore,
        sqlite::Error::AccessDenied => Error::AccessDenied,
        sqlite::Error::InvalidConnection => Error::Unavailable("the connection was closed".into()),
        sqlite::Error::DatabaseFull => Error::Other("the database is full".into()),
        sqlite::Error::Io(text) => failure(text),
    }
}
