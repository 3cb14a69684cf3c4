//! One event a request, and one where a clock went back. It names the licence, its product and the end of its key, never the key.

use countersign::license::License;
use countersign::time::Timestamp;
use countersign_app_common::journal::{self, Event};

use crate::clock::Stopwatch;
use crate::records::Unavailable;

/// Hands over the event of one request.
pub(crate) fn note(
    event: &'static str,
    code: Result<&'static str, &Unavailable>,
    license: Option<&License>,
    stopwatch: &mut Stopwatch,
) {
    journal::append(&Event {
        time: stopwatch.moment().unix(),
        name: event.into(),
        request: None,
        code: Some(code.unwrap_or("UNAVAILABLE").into()),
        reason: code.err().map(|unavailable| unavailable.0.into()),
        detail: None,
        license: license.map(|license| journal::License {
            id: license.id.as_str().into(),
            product: license.product.as_str().into(),
            hint: license.hint.as_ref().map(|hint| hint.as_str().into()),
        }),
        seconds: None,
        duration_micros: Some(stopwatch.total().as_micros() as u64),
    });
}

/// Hands over an event if it is earlier than when a record was written: by this host's clock, or by another's that is ahead of it.
pub(crate) fn note_clock(now: Timestamp, written_at: Option<Timestamp>) {
    if let Some(written_at) = written_at.filter(|written_at| now < *written_at) {
        journal::append(&Event {
            time: now.unix(),
            name: "clock-went-back".into(),
            request: None,
            code: None,
            reason: None,
            detail: None,
            license: None,
            seconds: Some(now.unix().abs_diff(written_at.unix())),
            duration_micros: None,
        });
    }
}
