//! Why a request was not done, in one line, and the exit code for it.

use serde::Deserialize;

use super::Answer;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The API refused it, and said why.
    #[error("{}", .0.sentence())]
    Problem(Problem),
    /// It ended without an answer. The text is for an operator.
    #[error("{0}")]
    NoAnswer(String),
    /// It cannot be sent as things are: the address, the certificate, the component. The text is for an operator.
    #[error("{0}")]
    Unusable(String),
    /// An answer that the API does not give.
    #[error(
        "there is no registrar of Countersign: it was answered with status {status}, in a form that is not known here"
    )]
    Foreign {
        /// The answer's status.
        status: u16,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// Problem details: RFC 9457, with the API's extension members.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    status: u16,
    code: String,
    detail: String,
    field: Option<String>,
    reason: Option<String>,
}

impl ApiError {
    /// The error that an answer of another status than 2xx is.
    pub(crate) fn of(answer: &Answer) -> Self {
        if (300..400).contains(&answer.status) {
            let to = plain(answer.header("location").unwrap_or("another address"));
            return Self::Unusable(format!(
                "the server redirects to {to}: a token is not taken there, name it with `--server`"
            ));
        }
        match serde_json::from_slice::<Problem>(&answer.body) {
            Ok(problem) if problem.status == answer.status => Self::Problem(problem),
            _ => Self::Foreign { status: answer.status },
        }
    }

    /// Whether the same request may fare better soon. It may have been done, too.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Problem(problem) => problem.status == 503 && problem.reason.as_deref() != Some("newer-schema"),
            Self::Unusable(_) | Self::Foreign { .. } | Self::NoRandomness => false,
        }
    }

    /// Whether the API refused it with this status because of this field.
    pub(crate) fn is_about(&self, status: u16, field: &str) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == status && problem.field.as_deref() == Some(field))
    }

    /// Whether what is there already stands against it.
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

/// What another program said, in one line and without what a terminal obeys.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}
