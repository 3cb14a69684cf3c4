//! The vendor API, for the commands: the same requests go to the registrar in this process, on a
//! data directory, or over HTTP to a server.

mod error;
mod local;
mod path;
mod remote;

use std::sync::Arc;
use std::thread;

use crate::limits::{API_ATTEMPTS, API_FIRST_PAUSE};
use serde_json::Value;

pub(crate) use error::ApiError;
pub(crate) use local::LocalApi;
pub(crate) use path::{path, percent_encode, query};
pub(crate) use remote::{Bounds, Remote, Token};

/// Where requests go.
pub(crate) enum Api {
    /// To the registrar in this process, on a data directory.
    Local(Box<LocalApi>),
    /// To a server.
    Remote(Remote),
}

/// One request. Its path begins with `/api/v1` and includes the query.
pub(crate) struct Request {
    method: &'static str,
    path: String,
    body: Option<Body>,
    /// Every change by POST has one: sending it twice has one effect.
    idempotency_key: Option<String>,
}

struct Body {
    content_type: &'static str,
    bytes: Vec<u8>,
}

/// An answer with a status of success.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The URL of the server that answered; nothing in this process.
    server: Option<Arc<str>>,
}

impl Request {
    pub(crate) fn get(path: String) -> Self {
        Self { method: "GET", path, body: None, idempotency_key: None }
    }

    pub(crate) fn delete(path: String) -> Self {
        Self { method: "DELETE", path, body: None, idempotency_key: None }
    }

    /// A JSON merge patch: RFC 7396.
    pub(crate) fn patch(path: String, changes: &Value) -> Self {
        let body = Body { content_type: "application/merge-patch+json", bytes: changes.to_string().into_bytes() };
        Self { method: "PATCH", path, body: Some(body), idempotency_key: None }
    }

    pub(crate) fn post(path: String, body: &Value) -> Result<Self, ApiError> {
        Self::post_bytes(path, "application/json", body.to_string().into_bytes())
    }

    pub(crate) fn post_bytes(path: String, content_type: &'static str, bytes: Vec<u8>) -> Result<Self, ApiError> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random).map_err(|_| ApiError::NoRandomness)?;
        let idempotency_key = Some(format!("{:032x}", u128::from_be_bytes(random)));
        Ok(Self { method: "POST", path, body: Some(Body { content_type, bytes }), idempotency_key })
    }

    /// A POST of a licence holder's program. Sending it twice changes nothing more.
    pub(crate) fn of_holder(path: String, body: &Value) -> Self {
        let body = Body { content_type: "application/json", bytes: body.to_string().into_bytes() };
        Self { method: "POST", path, body: Some(body), idempotency_key: None }
    }

    /// Whether the request may be sent twice. A second DELETE would report that nothing is there.
    fn can_repeat(&self) -> bool {
        self.method != "DELETE"
    }

    /// Its headers, except for the token, which belongs to the server.
    fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let content_type = self.body.as_ref().map(|body| ("content-type", body.content_type));
        let idempotency_key = self.idempotency_key.as_deref().map(|key| ("idempotency-key", key));
        content_type.into_iter().chain(idempotency_key)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The verdict on a licence, if this is one.
    pub(crate) fn verdict(&self) -> Option<Value> {
        let is_status_of_verdicts = matches!(self.status, 200 | 404);
        self.json().ok().filter(|json| is_status_of_verdicts && json["valid"].is_boolean())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.body
    }

    pub(crate) fn json(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(&self.body).map_err(|_| self.foreign())
    }

    /// The error for an answer that the API does not give.
    pub(crate) fn foreign(&self) -> ApiError {
        let status = self.status;
        ApiError::Foreign(match &self.server {
            Some(url) => {
                format!("{url} does not look like a Countersign server (status {status}); check the address")
            }
            None => format!(
                "the registrar component gave an unknown answer (status {status}); build it with `cargo xtask compose \
                 native`"
            ),
        })
    }
}

impl Api {
    /// Sends a request. Retries up to [`API_ATTEMPTS`] times if there was no answer, or a 503.
    pub(crate) fn send(&self, request: &Request) -> Result<Answer, ApiError> {
        self.send_for(request, |answer| (200..300).contains(&answer.status))
    }

    /// Asks for a verdict. An unknown key has one too, with status 404.
    pub(crate) fn verdict(&self, path: String, body: &Value) -> Result<Answer, ApiError> {
        self.send_for(&Request::of_holder(path, body), |answer| answer.verdict().is_some())
    }

    fn send_for(&self, request: &Request, is_wanted: impl Fn(&Answer) -> bool) -> Result<Answer, ApiError> {
        let attempt = || {
            let answer = match self {
                Self::Local(local) => local.call(request),
                Self::Remote(remote) => remote.call(request),
            }?;
            if is_wanted(&answer) { Ok(answer) } else { Err(ApiError::of(&answer)) }
        };
        let mut pause = API_FIRST_PAUSE;
        for _ in 1..if request.can_repeat() { API_ATTEMPTS } else { 1 } {
            match attempt() {
                Err(error) if error.may_pass() => thread::sleep(pause),
                outcome => return outcome,
            }
            pause *= 2;
        }
        attempt()
    }

    pub(crate) fn get(&self, path: String) -> Result<Answer, ApiError> {
        self.send(&Request::get(path))
    }

    pub(crate) fn post(&self, path: String, body: &Value) -> Result<Answer, ApiError> {
        self.send(&Request::post(path, body)?)
    }

    pub(crate) fn patch(&self, path: String, changes: &Value) -> Result<Answer, ApiError> {
        self.send(&Request::patch(path, changes))
    }

    pub(crate) fn delete(&self, path: String) -> Result<Answer, ApiError> {
        self.send(&Request::delete(path))
    }
}
