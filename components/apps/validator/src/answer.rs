//! What responses are made of: the headers that each has, and those of some.

use std::time::Duration;

use serde::Serialize;

use countersign_app_common::service::{Header, Response};

/// A response for programs everywhere, browsers included, that nobody may keep.
pub(crate) fn json(status: u16, body: Vec<u8>) -> Response {
    let mut response = empty(status);
    add(&mut response, "content-type", "application/json");
    Response { body, ..response }
}

/// Problem details: RFC 9457, section 3.
pub(crate) fn problem(status: u16, details: &impl Serialize) -> Response {
    let mut response = empty(status);
    add(&mut response, "content-type", "application/problem+json");
    Response { body: encode(details), ..response }
}

/// What a browser asks before it sends JSON to another site: Fetch standard, section 4.9 (CORS-preflight fetch).
pub(crate) fn preflight(method: &str) -> Response {
    let mut response = empty(204);
    add(&mut response, "access-control-allow-methods", method);
    add(&mut response, "access-control-allow-headers", "content-type, idempotency-key");
    add(&mut response, "access-control-max-age", "86400");
    response
}

/// Server Timing, section 3: durations in milliseconds, for pages of any site.
pub(crate) fn add_timing(response: &mut Response, store: Duration, total: Duration) {
    let milliseconds = |duration: Duration| {
        let micros = duration.as_micros() as u64;
        format!("{}.{:03}", micros / 1_000, micros % 1_000)
    };
    let value = format!("store;dur={}, total;dur={}", milliseconds(store), milliseconds(total));
    add(response, "server-timing", &value);
    add(response, "timing-allow-origin", "*");
}

pub(crate) fn add(response: &mut Response, name: &str, value: &str) {
    response.headers.push(Header { name: name.into(), value: value.into() });
}

/// The JSON of one of this app's own structures, which all have one.
pub(crate) fn encode(structure: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(structure).unwrap_or_default()
}

fn empty(status: u16) -> Response {
    let mut response = Response { status, headers: Vec::with_capacity(6), body: Vec::new() };
    add(&mut response, "cache-control", "no-store");
    add(&mut response, "access-control-allow-origin", "*");
    response
}
