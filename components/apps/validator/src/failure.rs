//! Why a verb has no answer.

use countersign::field::FieldError;
use countersign_app_common::problem::Problem;

use crate::unavailable::Unavailable;

/// The request cannot be answered, and nothing was changed.
pub(crate) enum Failure {
    /// The licence's terms do not allow this field's value.
    Field(FieldError),
    Unavailable(Unavailable),
}

impl Failure {
    /// The failure as the journal notes it.
    pub(crate) fn code(&self) -> Result<&'static str, &Unavailable> {
        match self {
            Self::Field(_) => Ok("INVALID_REQUEST"),
            Self::Unavailable(unavailable) => Err(unavailable),
        }
    }
}

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Field(error) => error.into(),
            Failure::Unavailable(unavailable) => unavailable.into(),
        }
    }
}
