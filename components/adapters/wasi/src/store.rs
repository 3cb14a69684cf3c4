//! `store` over one bucket of the draft.

use crate::Adapter;
use crate::bindings::adapter::exports::countersign::license::store::{
    Capabilities, CompareAndSwap, Entry, Error, Expectation, Freshness, Guest, Lookup, Outcome, Page,
};
use crate::bindings::host::wasi::keyvalue::store::{self as draft, Bucket};
use crate::percent;
use crate::settings::variable;
use countersign::seam::{is_store_key, page};

impl Guest for Adapter {
    fn get(key: String, _: Freshness) -> Result<Lookup, Error> {
        if !is_store_key(&key) {
            return Err(Error::InvalidKey);
        }
        Ok(Lookup { entry: read(&bucket()?, &key)?, age_seconds: 0, stale: false })
    }

    fn put(_: String, _: Vec<u8>, _: Expectation, _: Option<u32>) -> Result<Outcome, Error> {
        Err(Error::Unsupported)
    }

    fn delete(_: String) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    /// The draft promises no order between calls, and wasmtime has none. So this reads all keys,
    /// sorts them, and returns the page that begins after the cursor, the last key of the page
    /// before.
    fn list_keys(prefix: String, cursor: Option<String>, limit: u32) -> Result<Page, Error> {
        let bucket = bucket()?;
        let after = cursor.unwrap_or_default();
        let mut keys = Vec::new();
        let mut position = None;
        loop {
            let part = bucket.list_keys(position)?;
            keys.extend(
                part.keys.into_iter().filter(|key| is_store_key(key) && key.starts_with(&prefix) && *key > after),
            );
            match part.cursor {
                Some(next) => position = Some(next),
                None => break,
            }
        }
        keys.sort_unstable();
        let (keys, next) = page(keys, limit);
        Ok(Page { keys, next })
    }

    fn describe() -> Capabilities {
        Capabilities {
            name: "wasi-keyvalue".into(),
            compare_and_swap: CompareAndSwap::ReadOnly,
            ttl: false,
            lists: true,
            ordered_list: true,
            staleness_seconds: 0,
        }
    }
}

fn read(bucket: &Bucket, key: &str) -> Result<Option<Entry>, Error> {
    let Some(encoded) = bucket.get(key)? else { return Ok(None) };
    let value = percent::decode(&encoded).ok_or_else(|| Error::Other("a value is not percent-encoded".into()))?;
    Ok(Some(Entry { version: version(&value), value }))
}

/// FNV-1a with 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// The bucket named by `COUNTERSIGN_STORE`. wasmtime has one bucket, whose name is empty.
fn bucket() -> Result<Bucket, Error> {
    Ok(draft::open(&variable("store").unwrap_or_default())?)
}

/// A hash of the value, as the draft has no versions. Nothing writes here, so a key has one state.
fn version(value: &[u8]) -> u64 {
    value.iter().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

impl From<draft::Error> for Error {
    fn from(error: draft::Error) -> Self {
        match error {
            draft::Error::NoSuchStore => Self::NoSuchStore,
            draft::Error::AccessDenied => Self::AccessDenied,
            draft::Error::Other(text) => Self::Other(text),
        }
    }
}
