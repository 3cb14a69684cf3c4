//! The times that an operator can set.

use std::sync::OnceLock;

use crate::bindings::countersign::license::settings;

#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// Seconds for which an entry is used without asking the origin. `fresh_seconds`.
    pub(crate) fresh: u32,
    /// Seconds for which it is used while the origin does not answer. `stale_seconds`.
    pub(crate) stale: u32,
    /// Seconds for which a key counts as missing. `missing_seconds`.
    pub(crate) missing: u32,
    /// Milliseconds for which the origin is waited for by who could do without its answer.
    /// `patience_millis`.
    pub(crate) patience: u32,
    /// Milliseconds for which it is waited for by who cannot. `timeout_millis`.
    pub(crate) timeout: u32,
}

static TIMES: OnceLock<Times> = OnceLock::new();

/// The operator's times. They are read once an instance, since a read at each request would cost as
/// much as the request's own.
pub(crate) fn times() -> Times {
    *TIMES.get_or_init(|| Times {
        fresh: number("fresh_seconds", 0).unwrap_or(60),
        stale: number("stale_seconds", 1).unwrap_or(7 * 24 * 60 * 60),
        missing: number("missing_seconds", 0).unwrap_or(10),
        patience: number("patience_millis", 1).unwrap_or(250),
        timeout: number("timeout_millis", 1).unwrap_or(2_000),
    })
}

/// A value that is not such a number counts as not set: an edge that answers by the usual times is
/// better than one that does not answer.
fn number(name: &str, least: u32) -> Option<u32> {
    settings::get(name).ok()??.trim().parse().ok().filter(|number| *number >= least)
}
