//! The shell for Fastly Compute: `fastly:compute/http-incoming`.
//!
//! It translates a request into the record of `service.handle`, and the answer back. It bounds the
//! body and knows no routes. A sandbox serves one request, which is Fastly's default.

use std::time::Duration;

use bindings::countersign::license::service::{self, Body, Header, Request, Response};
use countersign::limits::{BODY_TIMEOUT, MAX_BODY_BYTES};
use countersign::seam::is_passed_header;
use fastly_sys::service_0_1::exports::fastly::compute::http_incoming::Guest;
use fastly_sys::service_0_1::fastly::compute::types::Error;
use fastly_sys::service_0_1::fastly::compute::{async_io, http_body, http_req, http_resp};
use wasi::clocks::monotonic_clock;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Shell;

    wit_bindgen::generate!({ path: "../../../wit", world: "shell" });
    fastly_sys::service_0_1::export!(Shell);
}

/// Bytes of a request's head that one call may return. Fastly itself refuses a head of more than
/// some 69,000.
const MAX_HEAD_BYTES: u64 = 131_072;

struct Shell;

impl Guest for Shell {
    /// An error means that speaking HTTP with the host failed. The host then answers 500.
    fn handle(incoming: http_req::Request, body: http_body::Body) -> Result<(), ()> {
        let request = request(&incoming, &body).map_err(drop)?;
        send(service::handle(&request)).map_err(drop)
    }
}

fn request(incoming: &http_req::Request, body: &http_body::Body) -> Result<Request, Error> {
    let headers = headers(incoming)?;
    let uri = incoming.get_uri(MAX_HEAD_BYTES)?;
    let (authority, path, query) = parts(&uri);
    Ok(Request {
        method: incoming.get_method(MAX_HEAD_BYTES)?,
        path: path.into(),
        query: query.map(Into::into),
        authority: Some(authority.into()),
        client: None,
        body: read(body, &headers),
        headers,
    })
}

/// Names and values arrive in batches, each item ended by a NUL.
fn headers(incoming: &http_req::Request) -> Result<Vec<Header>, Error> {
    let mut headers = Vec::new();
    let mut next_name = Some(0);
    while let Some(cursor) = next_name {
        let (names, next) = incoming.get_header_names(MAX_HEAD_BYTES, cursor)?;
        // Each name costs at least one call of the host.
        for name in names.split_terminator('\0').filter(|name| is_needed(name)) {
            let mut next_value = Some(0);
            while let Some(cursor) = next_value {
                let (values, next) = incoming.get_header_values(name, MAX_HEAD_BYTES, cursor)?;
                headers.extend(
                    (values.split_inclusive(|byte| *byte == 0))
                        .map(|value| value.strip_suffix(b"\0").unwrap_or(value))
                        .map(|value| Header { name: name.to_ascii_lowercase(), value: value.into() }),
                );
                next_value = next;
            }
        }
        next_name = next;
    }
    Ok(headers)
}

fn is_needed(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "content-length" || is_passed_header(&name)
}

/// The authority, the path and the query of an absolute URI: `host`, `/a` and `b` of
/// `http://host/a?b`.
fn parts(uri: &str) -> (&str, &str, Option<&str>) {
    let after_scheme = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let (authority, target) = after_scheme.split_at(after_scheme.find(['/', '?']).unwrap_or(after_scheme.len()));
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    (authority, if path.is_empty() { "/" } else { path }, query)
}

/// Reads at most one byte more than the bound, and nothing of a body that announces more.
fn read(body: &http_body::Body, headers: &[Header]) -> Body {
    let announced = headers.iter().find(|header| header.name == "content-length");
    let announced = announced.and_then(|header| str::from_utf8(&header.value).ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Body::TooLarge;
    }
    let mut bytes = Vec::new();
    let deadline = monotonic_clock::now() + BODY_TIMEOUT.as_nanos() as u64;
    loop {
        let left = Duration::from_nanos(deadline.saturating_sub(monotonic_clock::now()));
        if async_io::select_with_timeout(&[body], left.as_millis() as u32).is_none() {
            return Body::Incomplete;
        }
        match http_body::read(body, (MAX_BODY_BYTES + 1 - bytes.len()) as u32) {
            Ok(chunk) if chunk.is_empty() => return Body::Complete(bytes),
            Ok(chunk) => bytes.extend(chunk),
            Err(_) => return Body::Incomplete,
        }
        if bytes.len() > MAX_BODY_BYTES {
            return Body::TooLarge;
        }
    }
}

/// Passes on the whole answer, which the host sends after `handle` has returned.
fn send(Response { status, headers, body }: Response) -> Result<(), Error> {
    let response = http_resp::Response::new()?;
    response.set_status(status)?;
    for Header { name, value } in &headers {
        response.append_header(name, value)?;
    }
    let outgoing = http_body::new()?;
    let mut rest = body.as_slice();
    while !rest.is_empty() {
        let written = http_body::write(&outgoing, rest)? as usize;
        rest = rest.get(written..).unwrap_or_default();
    }
    http_resp::send_downstream(response, outgoing)
}
