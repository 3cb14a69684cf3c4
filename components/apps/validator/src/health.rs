//! Health checks for operators: whether the app runs, and whether its store answers.

use countersign_app_common::answer::{json, with_body};
use countersign_app_common::problem::Problem;
use countersign_app_common::service::{Request, Response};
use countersign_app_common::store::{self, CompareAndSwap, Freshness};
use serde::Serialize;

use crate::unavailable::Unavailable;

/// The key in the store that `readyz` reads. No app writes it.
const PROBE: &str = "probe";

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
}

/// `GET /healthz`: answers if the app runs. Calls no import.
pub(crate) fn healthz(_: &Request) -> Result<Response, Problem> {
    Ok(with_body(200, "application/json", br#"{"status":"ok"}"#.into()))
}

/// `GET /readyz`: reads the store once, and says what the store guarantees.
pub(crate) fn readyz(_: &Request) -> Result<Response, Problem> {
    store::get(PROBE, Freshness::Usual).map_err(Unavailable::from)?;
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
    Ok(json(200, &Ready { status: "ready", store }))
}
