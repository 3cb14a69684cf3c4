//! Requests that are refused or could not be done: problem details, RFC 9457.

use std::borrow::Cow;

use countersign::field::FieldError;
use countersign::limits::MAX_BODY_BYTES;
use serde::Serialize;

use crate::answer;
use crate::service::Response;

/// Why there is no answer of another kind. `code` is for programs; the words of `detail` may
/// change.
///
/// ```
/// # use countersign_app_common::problem::Problem;
/// const KEY_TAKEN: Problem = Problem::new(409, "KEY_TAKEN", "Another licence has or had this key.");
/// let slow_down = Problem::new(429, "TOO_MANY_FAILURES", "…").retry_after(30);
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    /// The status of the response.
    pub status: u16,
    /// Names the problem.
    pub code: &'static str,
    /// A sentence that repeats no value of the request.
    pub detail: Cow<'static, str>,
    /// The field, query parameter or header that is wrong, if it is one.
    pub field: Option<String>,
    /// Why there is no answer, as a word for operators.
    pub reason: Option<&'static str>,
    header: Option<(&'static str, Cow<'static, str>)>,
}

// The sentence below says this number.
const _: () = assert!(MAX_BODY_BYTES == 65_536);

impl Problem {
    /// The request ended or stalled before its body was complete.
    pub const INCOMPLETE_BODY: Self =
        Self::new(400, "INCOMPLETE_BODY", "The request ended or stalled before its body was complete.");

    /// No route has this path.
    pub const NO_SUCH_PATH: Self = Self::new(404, "NO_SUCH_PATH", "This path does not exist.");

    /// The body is larger than any request may be.
    pub const BODY_TOO_LARGE: Self =
        Self::new(413, "BODY_TOO_LARGE", "The body is too large; it must be at most 65,536 bytes.");

    /// The idempotency key was used for a different request.
    pub const IDEMPOTENCY_KEY_REUSED: Self = Self::new(
        422,
        "IDEMPOTENCY_KEY_REUSED",
        "This idempotency key was used for a different request; use a new key for each request.",
    );

    /// A problem that one sentence describes.
    pub const fn new(status: u16, code: &'static str, detail: &'static str) -> Self {
        Self { status, code, detail: Cow::Borrowed(detail), field: None, reason: None, header: None }
    }

    /// A problem with one field of the request.
    pub fn with_field(status: u16, code: &'static str, error: FieldError) -> Self {
        let field = Some(error.field).filter(|field| !field.is_empty());
        Self { detail: error.detail.into(), field, ..Self::new(status, code, "") }
    }

    /// A problem whose sentence depends on the request.
    pub fn with_detail(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..Self::new(status, code, "") }
    }

    /// The path has no such method. `allowed` lists those that it has, as `Allow` does (RFC 9110,
    /// section 10.2.1).
    pub fn method_not_allowed(allowed: impl Into<Cow<'static, str>>) -> Self {
        let detail = "This path does not support this method; the header `Allow` lists those that it does.";
        Self::new(405, "METHOD_NOT_ALLOWED", detail).with_header("allow", allowed)
    }

    /// Something that the app depends on gave no usable answer. This decides nothing about any
    /// licence, and a retry may help.
    pub fn unavailable(reason: &'static str) -> Self {
        let problem =
            Self::new(503, "UNAVAILABLE", "The service could not get a usable answer from its storage. Try again.");
        Self { reason: Some(reason), ..problem.retry_after(1) }
    }

    /// Has the response say in how many seconds a retry may succeed (RFC 9110, section 10.2.3).
    pub fn retry_after(self, seconds: u32) -> Self {
        self.with_header("retry-after", seconds.to_string())
    }

    /// Adds the one header that a problem's response may have besides those of every response.
    pub fn with_header(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        Self { header: Some((name, value.into())), ..self }
    }
}

/// The request is not well formed.
impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self::with_field(400, "INVALID_REQUEST", error)
    }
}

/// RFC 9457, section 3.1, and extension members (section 3.2) for programs.
#[derive(Serialize)]
struct Details<'a> {
    /// `about:blank` says that `title` is the phrase of the status (section 4.2.1).
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let details = Details {
            r#type: "about:blank",
            title: phrase(problem.status),
            status: problem.status,
            detail: &problem.detail,
            code: problem.code,
            field: problem.field.as_deref(),
            reason: problem.reason,
        };
        let body = answer::encode(&details);
        let mut response = answer::with_body(problem.status, "application/problem+json", body);
        if let Some((name, value)) = &problem.header {
            answer::add(&mut response, name, value);
        }
        response
    }
}

/// The phrase of a status: RFC 9110, section 15, and RFC 6585, section 4.
const fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn header<'a>(response: &'a Response, name: &str) -> Option<&'a [u8]> {
        response.headers.iter().find(|header| header.name == name).map(|header| header.value.as_slice())
    }

    #[test]
    fn a_problem_is_written_as_rfc_9457_says() {
        let response = Response::from(Problem::from(FieldError::new("key", "is missing.")));
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        let expected = json!({
            "type": "about:blank", "title": "Bad Request", "status": 400,
            "detail": "`key` is missing.", "code": "INVALID_REQUEST", "field": "key",
        });
        assert_eq!(body, expected);
        assert_eq!(header(&response, "content-type"), Some(&b"application/problem+json"[..]));
        assert_eq!(header(&response, "cache-control"), Some(&b"no-store"[..]));
    }

    #[test]
    fn a_request_that_is_wrong_as_a_whole_names_no_field() {
        let response = Response::from(Problem::from(FieldError::new("", "The body is not UTF-8.")));
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert!(body.get("field").is_none());
    }

    #[test]
    fn a_response_says_what_to_do_instead() {
        let response = Response::from(Problem::unavailable("store-throttled"));
        assert_eq!((response.status, header(&response, "retry-after")), (503, Some(&b"1"[..])));
        let response = Response::from(Problem::method_not_allowed("GET, OPTIONS"));
        assert_eq!((response.status, header(&response, "allow")), (405, Some(&b"GET, OPTIONS"[..])));
    }
}
