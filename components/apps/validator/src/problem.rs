//! Requests that got no answer of their own: problem details, RFC 9457.

use countersign::field::FieldError;
use serde::Serialize;

use crate::answer;
use countersign_app_common::service::Response;

pub(crate) enum Problem {
    InvalidRequest(FieldError),
    IncompleteBody,
    NoSuchPath,
    MethodNotAllowed {
        allowed: &'static str,
    },
    BodyTooLarge,
    IdempotencyKeyReused,
    /// The store gave no answer to build on. Says nothing about any licence.
    Unavailable {
        reason: &'static str,
    },
}

/// Section 3.1 of RFC 9457, with extension members (section 3.2) for programs.
#[derive(Serialize)]
struct Details<'a> {
    /// `about:blank` says that `title` is the phrase of the status (section 4.2.1).
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    /// The field that is wrong, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// Why the store gave no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let (status, title, code, detail) = match &problem {
            Problem::InvalidRequest(error) => (400, "Bad Request", "INVALID_REQUEST", error.detail.as_str()),
            Problem::IncompleteBody => {
                (400, "Bad Request", "INCOMPLETE_BODY", "The request ended or stalled before its body was complete.")
            }
            Problem::NoSuchPath => (404, "Not Found", "NO_SUCH_PATH", "There is nothing at this path."),
            Problem::MethodNotAllowed { .. } => {
                (405, "Method Not Allowed", "METHOD_NOT_ALLOWED", "This path takes another method.")
            }
            Problem::BodyTooLarge => {
                (413, "Content Too Large", "BODY_TOO_LARGE", "The body has more than 65,536 bytes.")
            }
            Problem::IdempotencyKeyReused => (
                422,
                "Unprocessable Content",
                "IDEMPOTENCY_KEY_REUSED",
                "This idempotency key came before, with another request.",
            ),
            Problem::Unavailable { .. } => {
                (503, "Service Unavailable", "UNAVAILABLE", "The store gave no usable answer. Try again.")
            }
        };
        let (mut field, mut reason, mut header) = (None, None, None);
        match &problem {
            Problem::InvalidRequest(error) => field = Some(error.field.as_str()).filter(|field| !field.is_empty()),
            Problem::MethodNotAllowed { allowed } => header = Some(("allow", *allowed)),
            Problem::Unavailable { reason: kind } => {
                reason = Some(*kind);
                header = Some(("retry-after", "1"));
            }
            Problem::IncompleteBody | Problem::NoSuchPath | Problem::BodyTooLarge | Problem::IdempotencyKeyReused => {}
        }
        let details = Details { r#type: "about:blank", title, status, detail, code, field, reason };
        let mut response = answer::problem(status, &details);
        if let Some((name, value)) = header {
            answer::add(&mut response, name, value);
        }
        response
    }
}
