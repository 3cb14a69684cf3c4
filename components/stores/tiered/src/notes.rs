//! Events for operators.

use crate::bindings::countersign::license::journal::{self, Event};
use crate::bindings::exports::countersign::license::store::Error;

/// Notes that the origin does not answer.
pub(crate) fn outage_began(now: u64, error: &Error) {
    let (reason, detail) = told(error);
    journal::append(&Event { reason: Some(reason.into()), detail, ..event("origin-lost", now) });
}

/// Notes that it answers again, after this time.
pub(crate) fn outage_ended(now: u64, seconds: u64) {
    journal::append(&Event { seconds: Some(seconds), ..event("origin-back", now) });
}

/// Notes that the origin answered with an older record than it did before.
pub(crate) fn went_back(now: u64) {
    journal::append(&event("origin-went-back", now));
}

/// Notes that near cannot keep what the origin answered.
pub(crate) fn near_failed(now: u64, error: &Error) {
    let (reason, detail) = told(error);
    journal::append(&Event { reason: Some(reason.into()), detail, ..event("near-failed", now) });
}

fn event(name: &str, now: u64) -> Event {
    Event {
        time: now.cast_signed(),
        name: name.into(),
        request: None,
        code: None,
        reason: None,
        detail: None,
        license: None,
        client: None,
        count: None,
        seconds: None,
        stale_seconds: None,
        duration_micros: None,
    }
}

fn told(error: &Error) -> (&'static str, Option<String>) {
    match error {
        Error::Unavailable(text) => ("unavailable", Some(text.clone())),
        Error::Other(text) => ("other", Some(text.clone())),
        Error::NoSuchStore => ("no-such-store", None),
        Error::AccessDenied => ("access-denied", None),
        Error::Throttled => ("throttled", None),
        Error::TooLarge => ("too-large", None),
        Error::InvalidKey => ("invalid-key", None),
        Error::Unsupported => ("unsupported", None),
    }
}
