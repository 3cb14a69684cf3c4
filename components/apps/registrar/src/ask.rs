//! What a handler is given: the request, its caller, and what was read of it for all routes.

use countersign::name::IdempotencyKey;
use countersign::time::Timestamp;
use countersign_app_common::fields::Fields;
use countersign_app_common::request::{body, header, media_type};
use serde_json::Map;

use crate::auth::caller::Caller;
use crate::wire::etag::Comparison;
use crate::wire::problem::{self, PRECONDITION_FAILED, Problem, WEAK_PRECONDITION};
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
        let given = media_type(&self.http.headers)?;
        let media_type = allowed.iter().find(|media_type| media_type.eq_ignore_ascii_case(given)).copied();
        let media_type = media_type.ok_or_else(|| problem::unsupported_media_type(allowed))?;
        Ok((media_type, body(self.http)?))
    }

    /// Refuses the request if its `If-Match` does not name the resource's current revision.
    pub(crate) fn check_if_match(&self, revision: u64) -> Result<(), Problem> {
        let Some(if_match) = header(&self.http.headers, "If-Match")? else { return Ok(()) };
        match etag::compare(if_match, revision)? {
            Comparison::Current => Ok(()),
            Comparison::Other => Err(PRECONDITION_FAILED),
            Comparison::Weak => Err(WEAK_PRECONDITION),
        }
    }
}
