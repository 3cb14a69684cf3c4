//! The answers of `store`, as JSON.

use serde_json::{Value, json};

use crate::bindings::countersign::license::store::{Capabilities, CompareAndSwap, Entry, Error, Outcome, Page};

pub(crate) fn entry(entry: Option<Entry>) -> Value {
    entry.map_or(
        Value::Null,
        |entry| json!({ "value": String::from_utf8_lossy(&entry.value), "version": entry.version.to_string() }),
    )
}

pub(crate) fn outcome(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Stored(version) => json!({ "stored": version.map(|version| version.to_string()) }),
        Outcome::Conflict(there) => json!({ "conflict": entry(there) }),
    }
}

pub(crate) fn page(page: Page) -> Value {
    json!({ "keys": page.keys, "next": page.next })
}

pub(crate) fn capabilities(capabilities: Capabilities) -> Value {
    json!({
        "name": capabilities.name,
        "compareAndSwap": match capabilities.compare_and_swap {
            CompareAndSwap::Atomic => "atomic",
            CompareAndSwap::SingleProcess => "single-process",
            CompareAndSwap::BestEffort => "best-effort",
            CompareAndSwap::ReadOnly => "read-only",
        },
        "ttl": capabilities.ttl,
        "lists": capabilities.lists,
        "orderedList": capabilities.ordered_list,
        "stalenessSeconds": capabilities.staleness_seconds,
    })
}

pub(crate) fn error(error: Error) -> Value {
    let (kind, detail) = match error {
        Error::Unavailable(detail) => ("unavailable", detail),
        Error::NoSuchStore => ("no-such-store", String::new()),
        Error::AccessDenied => ("access-denied", String::new()),
        Error::Throttled => ("throttled", String::new()),
        Error::TooLarge => ("too-large", String::new()),
        Error::InvalidKey => ("invalid-key", String::new()),
        Error::Unsupported => ("unsupported", String::new()),
        Error::Other(detail) => ("other", detail),
    };
    json!({ "kind": kind, "detail": detail })
}
