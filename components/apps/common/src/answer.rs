//! Responses, and what is put into them.

use serde::Serialize;

use crate::service::{Header, Response};

/// A response in JSON that no cache may store.
pub fn json(status: u16, structure: &impl Serialize) -> Response {
    with_body(status, "application/json", encode(structure))
}

/// A response with a body of this media type that no cache may store.
pub fn with_body(status: u16, media_type: &str, body: Vec<u8>) -> Response {
    let mut response = empty(status);
    add(&mut response, "content-type", media_type);
    Response { body, ..response }
}

/// A response without a body that no cache may store.
pub fn empty(status: u16) -> Response {
    let mut response = Response { status, headers: Vec::with_capacity(6), body: Vec::new() };
    add(&mut response, "cache-control", "no-store");
    response
}

/// Adds a header, whose name is in lower case.
pub fn add(response: &mut Response, name: &str, value: &str) {
    response.headers.push(Header { name: name.into(), value: value.into() });
}

/// The JSON of one of an app's own structures.
pub fn encode(structure: &impl Serialize) -> Vec<u8> {
    // Writing to memory does not fail, and texts, numbers and lists have a JSON form.
    serde_json::to_vec(structure).unwrap_or_else(|_| unreachable!("plain structures have a JSON form"))
}
