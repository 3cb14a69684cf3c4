//! Health checks for operators: whether the app runs, and whether its store answers.

use countersign_app_common::answer::{json, with_body};
use countersign_app_common::clock;
use countersign_app_common::problem::Problem;
use countersign_app_common::service::{Request, Response};
use countersign_app_common::store::{self, CompareAndSwap, Freshness};
use serde::Serialize;

use crate::unavailable::Unavailable;

/// The key in the store that `readyz` reads. No app writes it. At an edge that follows the changes
/// of its origin it has the last moment up to which all are there, in seconds since 1970,
/// big-endian.
const CURRENT: &str = "edge:current";

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
    /// Whether concurrent requests may exceed a limit on seats or usage.
    limits: &'static str,
    /// Since when changes at the origin may be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_behind: Option<i64>,
}

/// `GET /healthz`: answers if the app runs. Calls no import.
pub(crate) fn healthz(_: &Request) -> Result<Response, Problem> {
    Ok(with_body(200, "application/json", br#"{"status":"ok"}"#.into()))
}

/// `GET /readyz`: reads the store once, and says what the store guarantees.
pub(crate) fn readyz(_: &Request) -> Result<Response, Problem> {
    let current = store::get(CURRENT, Freshness::Usual).map_err(Unavailable::from)?.entry;
    let current = current.and_then(|entry| entry.value.try_into().ok()).map(i64::from_be_bytes);
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
        seconds_behind: current.map(|current| clock::now().unix().saturating_sub(current)),
    };
    Ok(json(200, &Ready { status: "ready", store }))
}
