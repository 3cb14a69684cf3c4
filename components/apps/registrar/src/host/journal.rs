//! One event a request, and one for each fault of the database. They name routes, the ids of tokens
//! and codes: no resource, no key, no token.

use crate::bindings::countersign::license::journal::{self, Event};
use crate::host::clock::{self, Stopwatch};

/// Bytes of a database's own words that an event repeats: the rest says no more about what went
/// wrong.
const MAX_DETAIL_BYTES: usize = 512;

/// Bytes of the longest method that an event names. Longer ones are not HTTP's.
const MAX_METHOD_BYTES: usize = 16;

/// What is known of a request when it is answered.
pub(crate) struct Request<'a> {
    time: i64,
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a str,
    /// The pattern of its path.
    pub(crate) route: Option<&'static str>,
    /// The id of the caller's token.
    pub(crate) actor: Option<String>,
    pub(crate) status: u16,
    /// The code and the reason of a problem.
    pub(crate) code: Option<&'static str>,
    pub(crate) reason: Option<&'static str>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(request_id: &'a str, method: &'a str) -> Self {
        let time = clock::now().unix();
        Self { time, request_id, method, route: None, actor: None, status: 0, code: None, reason: None }
    }

    /// Hands over the event.
    pub(crate) fn note(self, stopwatch: &Stopwatch) {
        journal::append(&Event {
            time: self.time,
            name: "request".into(),
            request: Some(journal::Request {
                id: self.request_id.into(),
                method: if self.method.len() <= MAX_METHOD_BYTES { self.method } else { "other" }.into(),
                route: self.route.map(Into::into),
                actor: self.actor,
                status: self.status,
            }),
            code: self.code.map(Into::into),
            reason: self.reason.map(Into::into),
            detail: None,
            license: None,
            seconds: None,
            duration_micros: Some(stopwatch.elapsed().as_micros() as u64),
        });
    }
}

/// Hands over what a database says of a call that it did not answer.
pub(crate) fn note_fault(reason: &'static str, detail: &str) {
    let end = detail.floor_char_boundary(MAX_DETAIL_BYTES.min(detail.len()));
    journal::append(&Event {
        time: clock::now().unix(),
        name: "sql-fault".into(),
        request: None,
        code: None,
        reason: Some(reason.into()),
        detail: Some(detail[..end].into()),
        license: None,
        seconds: None,
        duration_micros: None,
    });
}
