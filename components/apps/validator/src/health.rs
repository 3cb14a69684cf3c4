//! What operators ask: does it run, and does its store answer?

use serde::Serialize;

use crate::answer;
use crate::problem::Problem;
use crate::records::kind;
use countersign_app_common::service::{Request, Response};
use countersign_app_common::store::{self, CompareAndSwap};

/// The key that `readyz` reads. No licence is under it, for no key is known whose SHA-256 is zero.
const PROBE: &str = "license:0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Serialize)]
struct Ready<'a> {
    status: &'static str,
    store: Store<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Store<'a> {
    name: &'a str,
    compare_and_swap: &'static str,
    ttl: bool,
    lists: bool,
    ordered_list: bool,
    staleness_seconds: u32,
    /// Whether a limit on seats or usage holds when two ask at the same moment.
    limits: &'static str,
}

/// `GET /healthz`: answers as long as the app runs, and calls nothing.
pub(crate) fn healthz(_: &Request) -> Result<Response, Problem> {
    Ok(answer::json(200, br#"{"status":"ok"}"#.into()))
}

/// `GET /readyz`: makes a read of the store, and says what the store can do.
pub(crate) fn readyz(_: &Request) -> Result<Response, Problem> {
    store::get(PROBE).map_err(|error| Problem::Unavailable { reason: kind(&error) })?;
    let store = store::describe();
    let store = Store {
        name: &store.name,
        compare_and_swap: match store.compare_and_swap {
            CompareAndSwap::Atomic => "atomic",
            CompareAndSwap::SingleProcess => "single-process",
            CompareAndSwap::BestEffort => "best-effort",
            CompareAndSwap::ReadOnly => "read-only",
        },
        ttl: store.ttl,
        lists: store.lists,
        ordered_list: store.ordered_list,
        staleness_seconds: store.staleness_seconds,
        limits: match store.compare_and_swap {
            CompareAndSwap::Atomic => "exact",
            CompareAndSwap::SingleProcess | CompareAndSwap::BestEffort => "soft",
            CompareAndSwap::ReadOnly => "none",
        },
    };
    Ok(answer::json(200, answer::encode(&Ready { status: "ready", store })))
}
