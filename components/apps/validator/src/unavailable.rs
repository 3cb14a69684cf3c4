//! Why a licence could not be checked.

use countersign_app_common::problem::Problem;
use countersign_app_common::store::Error;
use countersign_app_common::store_error;

/// The reason, as a word for operators: the kind of a store's error, `corrupt-record`,
/// `corrupt-state`, `contention`, or `unconfirmed` for a refusal that may be out of date. It says
/// nothing about the licence.
#[derive(Clone, Copy)]
pub(crate) struct Unavailable(pub(crate) &'static str);

impl From<Error> for Unavailable {
    fn from(error: Error) -> Self {
        let word = store_error::word(&error);
        Self(word.strip_prefix("store-").unwrap_or(word))
    }
}

impl From<Unavailable> for Problem {
    fn from(Unavailable(reason): Unavailable) -> Self {
        Self::unavailable(reason)
    }
}
