//! A store of two tiers: `near`, which is fast and remembers, over `origin`, which has the truth.
//!
//! A read that `near` can answer costs one call of it. What an app may rely on:
//!
//! - An entry is returned without asking the origin while it is *fresh*: confirmed in the last
//!   `fresh_seconds`. The app gets its age.
//! - An older one is confirmed first. If the origin does not answer, it is returned as `stale` for
//!   `stale_seconds` after it was last confirmed, and after that it is an error.
//! - That a key does not exist is remembered for `missing_seconds`, and never used after that.
//! - A record is never replaced by one of a lower generation, whatever arrives in whatever order.
//! - A write goes to the origin, which decides about its condition.
//! - Keys that no origin has, such as the one that `readyz` reads, are near's alone.
//!
//! In reading order: [`read`] and [`write`] are the store's functions, [`told`] is what the origin
//! tells unasked, [`memory`] is what `near` keeps, [`outage`] remembers that the origin does not
//! answer, and [`times`] has the settings above.

mod memory;
mod notes;
mod outage;
mod planted;
mod read;
mod times;
mod told;
mod write;

use bindings::countersign::license::{near, origin};
use bindings::exports::countersign::license::store::{
    Capabilities, Error, Expectation, Freshness, Guest, Lookup, Outcome, Page,
};
use countersign::seam::is_store_key;
use countersign::store_keys::{LICENSE, OPERATION, STATE};

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Tiered;

    wit_bindgen::generate!({ path: "../../../wit", world: "tiered-store", merge_structurally_equal_types: true });
    export!(Tiered);
}

struct Tiered;

impl Guest for Tiered {
    fn get(key: String, freshness: Freshness) -> Result<Lookup, Error> {
        match is_store_key(&key) {
            true if is_of_origin(&key) => read::get(&key, freshness),
            true => near::get(&key, freshness),
            false => Err(Error::InvalidKey),
        }
    }

    fn put(key: String, value: Vec<u8>, expect: Expectation, ttl: Option<u32>) -> Result<Outcome, Error> {
        match is_store_key(&key) {
            true if is_of_origin(&key) => write::put(&key, value, expect, ttl),
            true => near::put(&key, &value, expect, ttl),
            false => Err(Error::InvalidKey),
        }
    }

    /// What deletes entries is the origin's own.
    fn delete(_: String) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    /// Near has some of the keys only, and an origin does not list them to its edges.
    fn list_keys(_: String, _: Option<String>, _: u32) -> Result<Page, Error> {
        Err(Error::Unsupported)
    }

    fn describe() -> Capabilities {
        let origin = origin::describe();
        Capabilities {
            name: format!("tiered over {}", origin.name),
            lists: false,
            ordered_list: false,
            staleness_seconds: origin.staleness_seconds.saturating_add(times::times().fresh),
            ..origin
        }
    }
}

fn is_of_origin(key: &str) -> bool {
    [LICENSE, STATE, OPERATION].iter().any(|prefix| key.starts_with(prefix))
}
