//! What a verb on a resource answers with.

use countersign_app_common::answer::{add, empty, json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::{Response, etag};

/// An answer that can be stored for a retry (`write::idempotency`).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Null for no body.
    pub(crate) body: Value,
    /// The revision of the resource in the body.
    pub(crate) etag: Option<u64>,
    /// The path of a created resource.
    pub(crate) location: Option<String>,
}

impl Answer {
    /// A resource, or a report.
    pub(crate) fn ok(body: Value, etag: impl Into<Option<u64>>) -> Self {
        Self { status: 200, body, etag: etag.into(), location: None }
    }

    /// A created resource.
    pub(crate) fn created(location: String, body: Value, etag: u64) -> Self {
        Self { status: 201, body, etag: Some(etag), location: Some(location) }
    }

    /// No body.
    pub(crate) fn no_content() -> Self {
        Self { status: 204, body: Value::Null, etag: None, location: None }
    }

    /// Says whether the store has what the answer is about, in the member `propagated` of the body.
    /// An answer without a body does not say so.
    pub(crate) fn with_propagated(mut self, is_propagated: bool) -> Self {
        if let Value::Object(members) = &mut self.body {
            members.insert("propagated".into(), is_propagated.into());
        }
        self
    }
}

impl From<Answer> for Response {
    fn from(answer: Answer) -> Self {
        let mut response = if answer.body.is_null() { empty(answer.status) } else { json(answer.status, &answer.body) };
        if let Some(revision) = answer.etag {
            add(&mut response, "etag", &etag::of(revision));
        }
        if let Some(location) = &answer.location {
            add(&mut response, "location", location);
        }
        response
    }
}

/// One of this app's own structures as a JSON object.
pub(crate) fn object(structure: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(structure) {
        Ok(Value::Object(members)) => members,
        _ => unreachable!("a structure with named fields is a JSON object"),
    }
}
