//! The entries of an origin, by HTTP: `POST /api/v1/origin/get` and `/put` of its vendor API.
//!
//! The operator names the origin in two settings: `origin_url`, the address at which the origin's
//! licences are managed, and `origin_token`, an edge's token. An edge sends hashes of keys, never
//! keys.

mod address;
mod client;
mod messages;

use std::cell::RefCell;

use bindings::exports::countersign::license::origin::{
    Capabilities, CompareAndSwap, Entry, Error, Expectation, Guest, Outcome,
};
use messages::{Get, Got, Put, PutAnswer, Store};

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Origin;

    wit_bindgen::generate!({ path: "../../../wit", world: "origin-client", merge_structurally_equal_types: true });
    export!(Origin);
}

struct Origin;

thread_local! {
    /// What the origin last said of its store.
    static STORE: RefCell<Option<Store>> = const { RefCell::new(None) };
}

impl Guest for Origin {
    fn get(key: String, timeout_millis: u32) -> Result<Option<Entry>, Error> {
        let Got { store, entries } = client::post("get", &Get { keys: [&key] }, timeout_millis)?;
        STORE.set(Some(store));
        entries.into_iter().find(|entry| entry.key == key).map(Entry::try_from).transpose()
    }

    fn put(
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        ttl: Option<u32>,
        timeout_millis: u32,
    ) -> Result<Outcome, Error> {
        let answer: PutAnswer = client::post("put", &Put::new(&key, &value, expect, ttl)?, timeout_millis)?;
        STORE.set(Some(answer.store.clone()));
        answer.outcome()
    }

    /// Nothing is promised before the origin said anything.
    fn describe() -> Capabilities {
        let store = STORE.with_borrow(Clone::clone);
        Capabilities {
            name: store.as_ref().map_or("origin".into(), |store| store.name.clone()),
            compare_and_swap: match store.as_ref().is_some_and(|store| store.atomic) {
                true => CompareAndSwap::Atomic,
                false => CompareAndSwap::BestEffort,
            },
            ttl: store.as_ref().is_some_and(|store| store.ttl),
            lists: false,
            ordered_list: false,
            staleness_seconds: store.map_or(0, |store| store.staleness_seconds),
        }
    }
}
