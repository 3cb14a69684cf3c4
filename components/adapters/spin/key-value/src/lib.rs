//! The adapter for Spin's key-value stores, whatever backs them. For compare-and-swap that is
//! `atomic`, use the adapter `spin-sqlite`.
//!
//! Spin's store can only get, set and delete, so a condition is checked by a read before the write:
//! `best-effort`. Spin also has the compare-and-swap of `wasi:keyvalue/atomics@0.2.0-draft2`, which
//! does not help. Over SQLite it replaces an unchanged value atomically, but overwrites a key that
//! must be absent. Over Redis it reports a failure for a swap that succeeded. And an adapter cannot
//! find out what backs its store.

use countersign::hash::{first_64_bits, sha256};
use countersign::limits::MAX_VALUE_BYTES;
use countersign::seam::{is_store_key, page};
use countersign_adapter_spin_common::bindings::exports::countersign::license::store::{
    Capabilities, CompareAndSwap, Entry, Error, Expectation, Freshness, Guest, Lookup, Outcome, Page,
};
use countersign_adapter_spin_common::spin::fermyon::spin::key_value::{self, Store};
use countersign_adapter_spin_common::{failure, store_label};

#[allow(unsafe_code)]
mod export {
    use super::Adapter;

    countersign_adapter_spin_common::bindings::export!(Adapter);
}

struct Adapter;

impl Guest for Adapter {
    fn get(key: String, _: Freshness) -> Result<Lookup, Error> {
        if !is_store_key(&key) {
            return Err(Error::InvalidKey);
        }
        Ok(Lookup { entry: read(&open()?, &key)?, age_seconds: 0, stale: false })
    }

    fn put(key: String, value: Vec<u8>, expect: Expectation, _ttl: Option<u32>) -> Result<Outcome, Error> {
        if !is_store_key(&key) {
            return Err(Error::InvalidKey);
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::TooLarge);
        }
        let store = open()?;
        if !matches!(expect, Expectation::Any) {
            let current = read(&store, &key)?;
            let holds = match (expect, &current) {
                (Expectation::Matches(version), Some(entry)) => entry.version == version,
                (Expectation::Absent, None) => true,
                _ => false,
            };
            if !holds {
                return Ok(Outcome::Conflict(current));
            }
        }
        store.set(&key, &value).map_err(error)?;
        Ok(Outcome::Stored(Some(version(&value))))
    }

    fn delete(key: String) -> Result<(), Error> {
        if !is_store_key(&key) {
            return Err(Error::InvalidKey);
        }
        open()?.delete(&key).map_err(error)
    }

    /// Spin returns all keys of the store at once, so each page reads them all. The cursor is the
    /// last key of the page before.
    fn list_keys(prefix: String, cursor: Option<String>, limit: u32) -> Result<Page, Error> {
        let after = cursor.unwrap_or_default();
        let mut keys = open()?.get_keys().map_err(error)?;
        keys.retain(|key| key.starts_with(&prefix) && *key > after);
        keys.sort_unstable();
        let (keys, next) = page(keys, limit);
        Ok(Page { keys, next })
    }

    fn describe() -> Capabilities {
        Capabilities {
            name: "spin-kv".into(),
            compare_and_swap: CompareAndSwap::BestEffort,
            ttl: false,
            lists: true,
            ordered_list: true,
            staleness_seconds: 60, // hosted Spin replicates its store; SQLite and Redis need no time
        }
    }
}

fn open() -> Result<Store, Error> {
    Store::open(&store_label()?).map_err(error)
}

fn read(store: &Store, key: &str) -> Result<Option<Entry>, Error> {
    let value = store.get(key).map_err(error)?;
    Ok(value.map(|value| Entry { version: version(&value), value }))
}

/// The first eight bytes of the value's SHA-256: Spin has no versions, so equal values have the
/// same one. A value that changed and changed back looks unchanged; an app rules this out with a
/// growing generation in its record.
fn version(value: &[u8]) -> u64 {
    first_64_bits(&sha256([value]))
}

fn error(error: key_value::Error) -> Error {
    match error {
        key_value::Error::NoSuchStore => Error::NoSuchStore,
        key_value::Error::AccessDenied => Error::AccessDenied,
        key_value::Error::StoreTableFull => Error::Unavailable("too many stores are open".into()),
        // Spin's limit on concurrent calls has no variant of its own.
        key_value::Error::Other(text) if text == "too many requests" => Error::Throttled,
        key_value::Error::Other(text) => failure(text),
    }
}
