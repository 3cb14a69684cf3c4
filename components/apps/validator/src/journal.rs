//! The journal: one event a request, one if a licence's time begins, and one if a clock went back.
//! An event names the licence, its product and the last characters of its key, but never the key.

use countersign::time::Timestamp;
use countersign_app_common::journal::{self, Event};

use crate::context::Context;
use crate::unavailable::Unavailable;

/// Appends the event of one request.
pub(crate) fn note(event: &'static str, code: Result<&'static str, &Unavailable>, context: &mut Context) {
    let time = context.moment().unix();
    journal::append(&Event {
        time,
        name: event.into(),
        request: None,
        code: Some(code.unwrap_or("UNAVAILABLE").into()),
        reason: code.err().map(|Unavailable(reason)| (*reason).into()),
        detail: None,
        license: license(context),
        client: None,
        count: None,
        seconds: None,
        stale_seconds: context.stale_seconds().map(u64::from),
        duration_micros: Some(context.stopwatch.elapsed().as_micros() as u64),
    });
}

/// Appends an event that says that the licence's time began with this request.
pub(crate) fn note_beginning(begun_at: Timestamp, context: &Context) {
    journal::append(&Event {
        time: begun_at.unix(),
        name: "time-began".into(),
        request: None,
        code: None,
        reason: None,
        detail: None,
        license: license(context),
        client: None,
        count: None,
        seconds: None,
        stale_seconds: None,
        duration_micros: None,
    });
}

fn license(context: &Context) -> Option<journal::License> {
    context.license.as_ref().map(|license| journal::License {
        id: license.id.as_str().into(),
        product: license.product.as_str().into(),
        hint: license.hint.as_ref().map(|hint| hint.as_str().into()),
    })
}

/// Appends an event that says that a record was written later than now: this host's clock went
/// back, or another host's clock is ahead of it.
pub(crate) fn note_clock(now: Timestamp, written_at: Timestamp) {
    journal::append(&Event {
        time: now.unix(),
        name: "clock-went-back".into(),
        request: None,
        code: None,
        reason: None,
        detail: None,
        license: None,
        client: None,
        count: None,
        seconds: Some(now.unix().abs_diff(written_at.unix())),
        stale_seconds: None,
        duration_micros: None,
    });
}
