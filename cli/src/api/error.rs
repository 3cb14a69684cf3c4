//! Why a request failed, in one line, and its exit code.

use serde::Deserialize;

use super::Answer;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The API refused the request and said why.
    #[error("{}", .0.sentence())]
    Problem(Problem),
    /// There was no answer. The text is for an operator.
    #[error("{0}")]
    NoAnswer(String),
    /// The request cannot be sent: the address, the certificate or the component is at fault. The
    /// text is for an operator.
    #[error("{0}")]
    Unusable(String),
    /// The answer is not one of the API's. The text is for an operator.
    #[error("{0}")]
    Foreign(String),
    #[error("the operating system returned no random bytes for an idempotency key")]
    NoRandomness,
}

/// Problem details (RFC 9457) with the API's extension members.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    status: u16,
    code: String,
    detail: String,
    field: Option<String>,
    reason: Option<String>,
}

/// Reasons of a 503 that last until an operator removes them.
const LASTING: [&str; 6] = [
    "newer-schema",
    "sql-no-such-database",
    "sql-access-denied",
    "store-no-such-store",
    "store-access-denied",
    "store-unsupported",
];

impl ApiError {
    /// The error for an answer whose status is not 2xx.
    pub(crate) fn of(answer: &Answer) -> Self {
        if (300..400).contains(&answer.status) {
            let to = plain(answer.header("location").unwrap_or("another address"));
            return Self::Unusable(format!(
                "the server redirects to {to}, and tokens and keys do not follow redirects; give that address instead"
            ));
        }
        match serde_json::from_slice::<Problem>(&answer.body) {
            Ok(problem) if problem.status == answer.status => Self::Problem(problem),
            _ => answer.foreign(),
        }
    }

    /// Whether a part of the same request may succeed, as all of it writes too much.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.code == "CHANGE_TOO_LARGE")
    }

    /// Whether the same request may succeed soon. It may also have been done already.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Problem(problem) => {
                problem.status == 503 && problem.reason.as_deref().is_none_or(|reason| !LASTING.contains(&reason))
            }
            Self::Unusable(_) | Self::Foreign(_) | Self::NoRandomness => false,
        }
    }

    /// The problem's code and reason, in a few words.
    pub(crate) fn code(&self) -> Option<String> {
        let Self::Problem(problem) = self else { return None };
        let reason = problem.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
        Some(plain(&format!("{}{reason}", problem.code)))
    }

    /// The same error with the server's address, and without a secret that the server repeats.
    pub(crate) fn of_server(self, url: &str, secret: &str) -> Self {
        match self {
            Self::Problem(problem) => {
                let detail = format!("{url}: {}", problem.detail.replace(secret, "…"));
                Self::Problem(Problem { detail, ..problem })
            }
            error => error,
        }
    }

    /// Whether the API refused this field with this status.
    pub(crate) fn is_about(&self, status: u16, field: &str) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == status && problem.field.as_deref() == Some(field))
    }

    /// Whether the request conflicts with what exists.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == 409)
    }

    pub(crate) fn exit_code(&self) -> u8 {
        let Self::Problem(problem) = self else { return 3 };
        match (problem.status, problem.code.as_str()) {
            (404, "NOT_FOUND") => 4,
            (409 | 412, _) => 5,
            (400 | 413 | 415 | 422, _) => 2,
            (401 | 403, _) => 6,
            _ => 3,
        }
    }
}

impl Problem {
    fn sentence(&self) -> String {
        let reason = self.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
        plain(&format!("{}{reason}", self.detail))
    }
}

/// Another program's text on one line, without control characters, which a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}
