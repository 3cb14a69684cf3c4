//! `store` over a Fastly KV store.

use crate::Adapter;
use crate::bindings::exports::countersign::license::store::{
    Capabilities, CompareAndSwap, Entry, Error, Expectation, Freshness, Guest, Lookup, Outcome, Page,
};
use crate::settings::item;
use countersign::limits::{MAX_LIST_KEYS, MAX_VALUE_BYTES};
use countersign::seam::is_store_key;
use fastly_sys::service_0_1::fastly::compute::compute_runtime::get_hostname;
use fastly_sys::service_0_1::fastly::compute::http_body::{self, Body};
use fastly_sys::service_0_1::fastly::compute::kv_store::{
    InsertMode, InsertOptions, KvError, ListMode, ListOptions, Store,
};
use fastly_sys::service_0_1::fastly::compute::types::{self, OpenError};
use serde::Deserialize;

/// Bytes of a page: `MAX_LIST_KEYS` keys of 1,024 bytes, Fastly's longest, and room for the JSON.
const MAX_PAGE_BYTES: usize = 2_000_000;

/// Bytes of a body to read at once.
const CHUNK_BYTES: u32 = 65_536;

impl Guest for Adapter {
    fn get(key: String, _: Freshness) -> Result<Lookup, Error> {
        if !is_store_key(&key) {
            return Err(Error::InvalidKey);
        }
        Ok(Lookup { entry: lookup(&open()?, &key)?, age_seconds: 0, stale: false })
    }

    /// Fastly checks the condition when it writes. It does not report the new generation.
    fn put(key: String, value: Vec<u8>, expect: Expectation, ttl: Option<u32>) -> Result<Outcome, Error> {
        if !is_store_key(&key) {
            return Err(Error::InvalidKey);
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::TooLarge);
        }
        let store = open()?;
        let (mode, generation) = match expect {
            Expectation::Any => (InsertMode::Overwrite, None),
            Expectation::Absent => (InsertMode::Add, None),
            Expectation::Matches(version) => {
                // Viceroy accepts any generation for a missing key.
                if lookup(&store, &key)?.is_none() {
                    return Ok(Outcome::Conflict(None));
                }
                (InsertMode::Overwrite, Some(version))
            }
        };
        let options = InsertOptions {
            background_fetch: false,
            if_generation_match: generation,
            metadata: None,
            time_to_live_sec: ttl,
            mode,
            extra: None,
        };
        match store.insert(&key, body(&value)?, &options) {
            Ok(()) => Ok(Outcome::Stored(None)),
            Err(KvError::PreconditionFailed) => Ok(Outcome::Conflict(lookup(&store, &key)?)),
            Err(error) => Err(error.into()),
        }
    }

    fn delete(key: String) -> Result<(), Error> {
        if !is_store_key(&key) {
            return Err(Error::InvalidKey);
        }
        open()?.delete(&key)?;
        Ok(())
    }

    fn list_keys(prefix: String, cursor: Option<String>, limit: u32) -> Result<Page, Error> {
        let options = ListOptions {
            mode: ListMode::Strong,
            cursor,
            limit: Some(limit.clamp(1, MAX_LIST_KEYS)),
            prefix: Some(prefix).filter(|prefix| !prefix.is_empty()),
            extra: None,
        };
        let page = read(&open()?.list(&options)?, MAX_PAGE_BYTES)?;
        let page: Listing = serde_json::from_slice(&page)
            .map_err(|_| Error::Other("the KV store returned a malformed page of keys".into()))?;
        Ok(Page { keys: page.data, next: page.meta.next_cursor })
    }

    /// Fastly documents that it refuses a write unless its generation is the current one. Viceroy,
    /// Fastly's test host, checks and writes in two steps; its host name is `localhost`.
    fn describe() -> Capabilities {
        let local = get_hostname() == "localhost";
        Capabilities {
            name: "fastly-kv".into(),
            compare_and_swap: if local { CompareAndSwap::BestEffort } else { CompareAndSwap::Atomic },
            ttl: true,
            lists: true,
            ordered_list: false, // Viceroy sorts; Fastly promises no order
            staleness_seconds: 60,
        }
    }
}

/// Fastly's page of keys: `{"data":["…"],"meta":{"next_cursor":"…"}}`, and fields that are not
/// used here.
#[derive(Deserialize)]
struct Listing {
    data: Vec<String>,
    meta: ListingMeta,
}

#[derive(Deserialize)]
struct ListingMeta {
    next_cursor: Option<String>,
}

fn open() -> Result<Store, Error> {
    let name = item("store").map_err(Error::Unavailable)?;
    Ok(Store::open(name.as_deref().unwrap_or("licenses"))?)
}

fn lookup(store: &Store, key: &str) -> Result<Option<Entry>, Error> {
    let Some(found) = store.lookup(key)? else { return Ok(None) };
    let body =
        found.take_body().ok_or_else(|| Error::Other("the KV store returned an entry without a value".into()))?;
    Ok(Some(Entry { value: read(&body, MAX_VALUE_BYTES)?, version: found.generation() }))
}

/// Reads a body to its end. One that is longer than `bound` was not written by this adapter.
fn read(body: &Body, bound: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    loop {
        let chunk = http_body::read(body, CHUNK_BYTES)?;
        if chunk.is_empty() {
            return Ok(bytes);
        }
        bytes.extend(chunk);
        if bytes.len() > bound {
            return Err(Error::Other(format!("the stored value is longer than {bound} bytes")));
        }
    }
}

fn body(value: &[u8]) -> Result<Body, Error> {
    let body = http_body::new()?;
    let mut rest = value;
    while !rest.is_empty() {
        let written = http_body::write(&body, rest)? as usize;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(body)
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NotFound | OpenError::InvalidSyntax | OpenError::NameTooLong | OpenError::Reserved => {
                Self::NoSuchStore
            }
            OpenError::Unsupported => Self::Unsupported,
            OpenError::LimitExceeded | OpenError::GenericError => Self::Unavailable(error.message().into()),
        }
    }
}

impl From<KvError> for Error {
    fn from(error: KvError) -> Self {
        match error {
            KvError::TooManyRequests => Self::Throttled,
            KvError::PayloadTooLarge => Self::TooLarge,
            KvError::InternalError | KvError::GenericError => Self::Unavailable("the KV store failed".into()),
            KvError::BadRequest => Self::Other("the KV store refused the request".into()),
            KvError::PreconditionFailed | KvError::Extra(_) => {
                Self::Other("the KV store returned an unexpected error".into())
            }
        }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        Self::Unavailable(format!("cannot read or write a value: {error}"))
    }
}
