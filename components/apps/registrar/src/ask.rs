//! What a verb is given: who asks, and what for.

use countersign::field::FieldError;
use countersign::limits::MAX_BODY_BYTES;
use countersign::time::Timestamp;

use crate::auth::caller::Caller;
use crate::wire::etag;
use crate::wire::fields::Fields;
use crate::wire::headers::header;
use crate::wire::problem::Problem;
use crate::wire::query::Query;
use crate::wire::{Body, Request};

pub(crate) struct Ask<'a> {
    pub(crate) http: &'a Request,
    pub(crate) caller: Caller,
    /// What the request is called in answers and events.
    pub(crate) request_id: String,
    /// Those of the path, in their order, percent-decoded.
    pub(crate) parameters: Vec<String>,
    pub(crate) query: Query,
    /// When the request came.
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

    /// As [`fields`](Self::fields), where a body that is empty says what an empty object does.
    pub(crate) fn optional_fields(&self) -> Result<Fields, Problem> {
        match &self.http.body {
            Body::Complete(body) if body.is_empty() => Ok(Fields::new(serde_json::Map::new())),
            _ => self.fields(),
        }
    }

    /// The body and its media type (RFC 9110, section 8.3.1), which is one of these.
    pub(crate) fn body(&self, allowed: &[&'static str]) -> Result<(&'static str, &[u8]), Problem> {
        let given = self.header("content-type")?.unwrap_or_default();
        let (essence, _) = given.split_once(';').unwrap_or((given, ""));
        let is_given = |media_type: &&&str| media_type.eq_ignore_ascii_case(essence.trim_ascii());
        let media_type = allowed.iter().find(is_given).copied();
        let media_type = media_type.ok_or(Problem::UnsupportedMediaType("This path takes a body of another type."))?;
        match &self.http.body {
            Body::Complete(body) if body.len() <= MAX_BODY_BYTES => Ok((media_type, body)),
            Body::Complete(_) | Body::TooLarge => Err(Problem::BodyTooLarge),
            Body::Incomplete => Err(Problem::IncompleteBody),
        }
    }

    /// A header that may stand once.
    pub(crate) fn header(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        header(&self.http.headers, name)
    }

    /// Refuses where `If-Match` names other revisions than the resource's present one.
    pub(crate) fn check_if_match(&self, revision: u64) -> Result<(), Problem> {
        match self.header("if-match")?.map(|if_match| etag::matches(if_match, revision)) {
            None | Some(Some(true)) => Ok(()),
            Some(Some(false)) => Err(Problem::PreconditionFailed),
            Some(None) => Err(FieldError::new("If-Match", "is no list of entity tags.").into()),
        }
    }
}
