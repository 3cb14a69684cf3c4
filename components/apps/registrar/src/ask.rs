//! What a handler is given: the request, its caller, and what was read of it for all routes.

use countersign::name::IdempotencyKey;
use countersign::time::Timestamp;
use countersign_app_common::fields::Fields;
use countersign_app_common::request::{body, header};
use serde_json::Map;

use crate::auth::caller::Caller;
use crate::wire::problem::{self, PRECONDITION_FAILED, Problem};
use crate::wire::query::Query;
use crate::wire::{Body, Request, etag};

pub(crate) struct Ask<'a> {
    pub(crate) http: &'a Request,
    pub(crate) caller: Caller,
    /// Names the request in the response, the journal and events.
    pub(crate) request_id: String,
    /// The parameters of the path, in their order, percent-decoded.
    pub(crate) parameters: Vec<String>,
    pub(crate) query: Query,
    /// A POST may have one; other methods are idempotent without.
    pub(crate) idempotency_key: Option<IdempotencyKey>,
    /// When the request arrived.
    pub(crate) now: Timestamp,
}

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

impl Ask<'_> {
    /// The body as one JSON object.
    pub(crate) fn fields(&self) -> Result<Fields, Problem> {
        let allowed: &[&str] = if self.http.method == "PATCH" { &[JSON, MERGE_PATCH] } else { &[JSON] };
        let (_, body) = self.body(allowed)?;
        Ok(Fields::from_json(body)?)
    }

    /// As [`fields`](Self::fields), with an empty body for an empty object.
    pub(crate) fn optional_fields(&self) -> Result<Fields, Problem> {
        match &self.http.body {
            Body::Complete(body) if body.is_empty() => Ok(Fields::new(Map::new())),
            _ => self.fields(),
        }
    }

    /// The body, and its media type (RFC 9110, section 8.3.1), which must be an allowed one.
    pub(crate) fn body(&self, allowed: &[&'static str]) -> Result<(&'static str, &[u8]), Problem> {
        let given = header(&self.http.headers, "Content-Type")?.unwrap_or_default();
        let (essence, _) = given.split_once(';').unwrap_or((given, ""));
        let is_given = |media_type: &&&str| media_type.eq_ignore_ascii_case(essence.trim_ascii());
        let media_type = allowed.iter().find(is_given).copied();
        let media_type = media_type.ok_or_else(|| problem::unsupported_media_type(allowed))?;
        Ok((media_type, body(self.http)?))
    }

    /// Refuses the request if its `If-Match` does not name the resource's current revision.
    pub(crate) fn check_if_match(&self, revision: u64) -> Result<(), Problem> {
        match header(&self.http.headers, "If-Match")? {
            Some(if_match) if !etag::matches(if_match, revision)? => Err(PRECONDITION_FAILED),
            _ => Ok(()),
        }
    }
}
