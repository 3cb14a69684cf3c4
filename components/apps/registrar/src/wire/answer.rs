//! What responses are made of.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::etag;
use crate::wire::{Header, Response};

/// What a verb on a resource answers with.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// No body if null.
    pub(crate) body: Value,
    /// The revision of the resource that the answer shows.
    pub(crate) etag: Option<u64>,
    /// The path of a resource that was made.
    pub(crate) location: Option<String>,
}

impl Answer {
    /// A resource, or what came of a verb on it.
    pub(crate) fn ok(body: Value, etag: impl Into<Option<u64>>) -> Self {
        Self { status: 200, body, etag: etag.into(), location: None }
    }

    /// A resource that was made.
    pub(crate) fn created(location: String, body: Value, etag: u64) -> Self {
        Self { status: 201, body, etag: Some(etag), location: Some(location) }
    }

    /// There is nothing to say.
    pub(crate) fn no_content() -> Self {
        Self { status: 204, body: Value::Null, etag: None, location: None }
    }

    /// Where records were to be delivered, `propagated` tells whether the store has them all.
    pub(crate) fn into_response(mut self, propagated: Option<bool>) -> Response {
        if let (Some(propagated), Value::Object(members)) = (propagated, &mut self.body) {
            members.insert("propagated".into(), propagated.into());
        }
        let mut response = if self.body.is_null() { empty(self.status) } else { json(self.status, &self.body) };
        if let Some(revision) = self.etag {
            add(&mut response, "etag", &etag::of(revision));
        }
        if let Some(location) = &self.location {
            add(&mut response, "location", location);
        }
        response
    }
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        answer.into_response(None)
    }
}

/// A response that nobody may keep.
pub(crate) fn json(status: u16, structure: &impl Serialize) -> Response {
    with_body(status, "application/json", encode(structure))
}

/// Problem details: RFC 9457, section 3.
pub(crate) fn problem(status: u16, details: &impl Serialize) -> Response {
    with_body(status, "application/problem+json", encode(details))
}

/// A body of any kind.
pub(crate) fn with_body(status: u16, media_type: &str, body: Vec<u8>) -> Response {
    let mut response = empty(status);
    add(&mut response, "content-type", media_type);
    Response { body, ..response }
}

/// No body.
pub(crate) fn empty(status: u16) -> Response {
    let mut response = Response { status, headers: Vec::with_capacity(6), body: Vec::new() };
    add(&mut response, "cache-control", "no-store");
    response
}

pub(crate) fn add(response: &mut Response, name: &str, value: &str) {
    response.headers.push(Header { name: name.into(), value: value.into() });
}

/// One of this app's own structures as a JSON object.
pub(crate) fn object(structure: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(structure) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// The JSON of one of this app's own structures, which all have one.
pub(crate) fn encode(structure: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(structure).unwrap_or_default()
}
