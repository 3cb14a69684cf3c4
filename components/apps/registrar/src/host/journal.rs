//! One event a request, and one for each fault of the database. They name routes, tokens' ids and codes: no resource, no key, no token.

use countersign::time::Timestamp;
use serde::Serialize;

use crate::bindings::countersign::license::journal;
use crate::host::clock::{self, Stopwatch};

/// Bytes of a database's own words that an event repeats: the rest says no more about what went wrong.
const MAX_DETAIL_BYTES: usize = 512;

/// What is known of a request when it is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request<'a> {
    time: Timestamp,
    event: &'static str,
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a str,
    /// Its pattern, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<String>,
    pub(crate) status: u16,
    /// Those of a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    duration_micros: u64,
}

#[derive(Serialize)]
struct Fault<'a> {
    time: Timestamp,
    event: &'static str,
    reason: &'static str,
    detail: &'a str,
}

impl<'a> Request<'a> {
    pub(crate) fn new(request_id: &'a str, method: &'a str) -> Self {
        Self {
            time: clock::now(),
            event: "request",
            request_id,
            // Others are none that a client sends in good faith, and may be of any length.
            method: if method.len() <= 16 { method } else { "other" },
            route: None,
            actor: None,
            status: 0,
            code: None,
            reason: None,
            duration_micros: 0,
        }
    }

    /// Writes the line.
    pub(crate) fn note(mut self, stopwatch: &Stopwatch) {
        self.duration_micros = stopwatch.elapsed().as_micros() as u64;
        append(&self);
    }
}

/// Writes what a database says of a call that it did not answer.
pub(crate) fn note_fault(reason: &'static str, detail: &str) {
    let end = detail.floor_char_boundary(MAX_DETAIL_BYTES.min(detail.len()));
    append(&Fault { time: clock::now(), event: "sql-fault", reason, detail: &detail[..end] });
}

fn append(event: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(event) {
        journal::append(&line);
    }
}
