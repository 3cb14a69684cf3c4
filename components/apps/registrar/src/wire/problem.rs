//! Requests that were not done: problem details, RFC 9457.

use countersign::field::FieldError;
use serde::Serialize;

use crate::wire::Response;
use crate::wire::answer;

/// Why a request was not done. Nothing was changed, unless it is [`Problem::Unavailable`] of a write whose end is not known.
pub(crate) enum Problem {
    /// It is not well formed.
    InvalidRequest(FieldError),
    IncompleteBody,
    /// Nobody known asks.
    Unauthenticated,
    /// Who asks may not do that. A sentence.
    Forbidden(&'static str),
    NoSuchPath,
    /// There is no such resource, or none that the caller may see.
    NotFound,
    MethodNotAllowed {
        allowed: String,
    },
    /// What is there already stands against it. A sentence.
    Conflict(&'static str),
    KeyTaken,
    /// A revoked licence is changed no more.
    Revoked,
    PreconditionFailed,
    BodyTooLarge,
    /// What the body may be. A sentence.
    UnsupportedMediaType(&'static str),
    IdempotencyKeyReused,
    /// It is well formed, and the rules refuse it.
    Unprocessable(FieldError),
    TooManyFailures {
        seconds: u32,
    },
    /// The database or the settings gave no answer to build on. Says nothing about any resource.
    Unavailable {
        reason: &'static str,
    },
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self::InvalidRequest(error)
    }
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
    /// The field, query parameter or header that is wrong, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl Problem {
    /// The database's content is not what this app writes.
    pub(crate) const CORRUPT: Self = Self::Unavailable { reason: "sql-corrupt" };

    /// The code and a sentence, which repeats no value that was sent.
    pub(crate) fn code_and_detail(&self) -> (&'static str, &str) {
        match self {
            Self::InvalidRequest(error) => ("INVALID_REQUEST", &error.detail),
            Self::IncompleteBody => ("INCOMPLETE_BODY", "The request ended or stalled before its body was complete."),
            Self::Unauthenticated => ("UNAUTHENTICATED", "A bearer token that is known and not over is needed."),
            Self::Forbidden(detail) => ("FORBIDDEN", detail),
            Self::NoSuchPath => ("NO_SUCH_PATH", "There is nothing at this path."),
            Self::NotFound => ("NOT_FOUND", "There is no such resource, or none that this token may see."),
            Self::MethodNotAllowed { .. } => ("METHOD_NOT_ALLOWED", "This path takes another method."),
            Self::Conflict(detail) => ("CONFLICT", detail),
            Self::KeyTaken => ("KEY_TAKEN", "There is or was a licence with this key."),
            Self::Revoked => ("REVOKED", "The licence is revoked, which is for good."),
            Self::PreconditionFailed => ("PRECONDITION_FAILED", "The resource has changed: read it again."),
            Self::BodyTooLarge => ("BODY_TOO_LARGE", "The body has more than 65,536 bytes."),
            Self::UnsupportedMediaType(detail) => ("UNSUPPORTED_MEDIA_TYPE", detail),
            Self::IdempotencyKeyReused => {
                ("IDEMPOTENCY_KEY_REUSED", "This idempotency key came before, with another request.")
            }
            Self::Unprocessable(error) => ("UNPROCESSABLE", &error.detail),
            Self::TooManyFailures { .. } => {
                ("TOO_MANY_FAILURES", "Too many requests from this address had no valid token.")
            }
            Self::Unavailable { .. } => ("UNAVAILABLE", "There is no usable answer now. Try again."),
        }
    }

    /// The field that is wrong, where one is.
    pub(crate) fn field(&self) -> Option<&str> {
        match self {
            Self::InvalidRequest(error) | Self::Unprocessable(error) => {
                Some(error.field.as_str()).filter(|field| !field.is_empty())
            }
            _ => None,
        }
    }

    /// Why there is no answer, as a word for an operator.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable { reason } => Some(reason),
            _ => None,
        }
    }

    fn status(&self) -> (u16, &'static str) {
        match self {
            Self::InvalidRequest(_) | Self::IncompleteBody => (400, "Bad Request"),
            Self::Unauthenticated => (401, "Unauthorized"),
            Self::Forbidden(_) => (403, "Forbidden"),
            Self::NoSuchPath | Self::NotFound => (404, "Not Found"),
            Self::MethodNotAllowed { .. } => (405, "Method Not Allowed"),
            Self::Conflict(_) | Self::KeyTaken | Self::Revoked => (409, "Conflict"),
            Self::PreconditionFailed => (412, "Precondition Failed"),
            Self::BodyTooLarge => (413, "Content Too Large"),
            Self::UnsupportedMediaType(_) => (415, "Unsupported Media Type"),
            Self::IdempotencyKeyReused | Self::Unprocessable(_) => (422, "Unprocessable Content"),
            Self::TooManyFailures { .. } => (429, "Too Many Requests"),
            Self::Unavailable { .. } => (503, "Service Unavailable"),
        }
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let ((status, title), (code, detail)) = (problem.status(), problem.code_and_detail());
        let details = Details {
            r#type: "about:blank",
            title,
            status,
            detail,
            code,
            field: problem.field(),
            reason: problem.reason(),
        };
        let mut response = answer::problem(status, &details);
        match &problem {
            Problem::Unauthenticated => answer::add(&mut response, "www-authenticate", "Bearer"),
            Problem::MethodNotAllowed { allowed } => answer::add(&mut response, "allow", allowed),
            Problem::TooManyFailures { seconds } => answer::add(&mut response, "retry-after", &seconds.to_string()),
            Problem::Unavailable { .. } => answer::add(&mut response, "retry-after", "1"),
            _ => {}
        }
        response
    }
}
