//! What this app adds to the responses that all apps have.

use std::time::Duration;

use countersign_app_common::answer::{add, empty};
use countersign_app_common::service::Response;

use crate::context::Context;

/// Lets pages of any site read the answer: Fetch standard, section 3.3.3
/// (`Access-Control-Allow-Origin`).
pub(crate) fn open_to_all_sites(response: &mut Response) {
    add(response, "access-control-allow-origin", "*");
}

/// The answer to a browser's request before it sends JSON to another site: Fetch standard, section
/// 4.9 (CORS-preflight fetch).
pub(crate) fn preflight(methods: &str) -> Response {
    let mut response = empty(204);
    add(&mut response, "access-control-allow-methods", methods);
    add(&mut response, "access-control-allow-headers", "content-type, idempotency-key");
    add(&mut response, "access-control-max-age", "86400");
    response
}

/// Says how long the answer took, in milliseconds: Server Timing, section 3, for pages of any site.
pub(crate) fn add_timing(response: &mut Response, context: &Context) {
    let milliseconds = |duration: Duration| {
        let micros = duration.as_micros() as u64;
        format!("{}.{:03}", micros / 1_000, micros % 1_000)
    };
    let (store, total) = (milliseconds(context.store), milliseconds(context.stopwatch.elapsed()));
    add(response, "server-timing", &format!("store;dur={store}, total;dur={total}"));
    add(response, "timing-allow-origin", "*");
}
