//! One event a request, and one where a clock went back. It names the licence, its product and the end of its key, never the key.

use countersign::id::LicenseId;
use countersign::key::Hint;
use countersign::license::License;
use countersign::name::Product;
use countersign::time::Timestamp;
use serde::Serialize;

use crate::clock::Stopwatch;
use crate::records::Unavailable;
use countersign_app_common::journal;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    time: Timestamp,
    event: &'static str,
    code: &'static str,
    /// Only with `UNAVAILABLE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<&'a LicenseId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a Product>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a Hint>,
    duration_micros: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClockWentBack {
    time: Timestamp,
    event: &'static str,
    seconds: i64,
}

/// Writes the line for one request.
pub(crate) fn note(
    event: &'static str,
    code: Result<&'static str, &Unavailable>,
    license: Option<&License>,
    stopwatch: &mut Stopwatch,
) {
    append(&Event {
        time: stopwatch.moment(),
        event,
        code: code.unwrap_or("UNAVAILABLE"),
        reason: code.err().map(|unavailable| unavailable.0),
        license: license.map(|license| &license.id),
        product: license.map(|license| &license.product),
        hint: license.and_then(|license| license.hint.as_ref()),
        duration_micros: stopwatch.total().as_micros() as u64,
    });
}

/// Writes a line if it is earlier than when a record was written: by this host's clock, or by another's that is ahead of it.
pub(crate) fn note_clock(now: Timestamp, written_at: Option<Timestamp>) {
    if let Some(written_at) = written_at.filter(|written_at| now < *written_at) {
        append(&ClockWentBack { time: now, event: "clock-went-back", seconds: written_at.unix() - now.unix() });
    }
}

fn append(event: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(event) {
        journal::append(&line);
    }
}
