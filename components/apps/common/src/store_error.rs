//! An error of the store as a word.

use crate::store::Error;

/// The kind of an error, for operators. Its text is for the host's own log and is left out.
///
/// An app whose only dependency is the store may leave out the prefix `store-`.
pub const fn word(error: &Error) -> &'static str {
    match error {
        Error::Unavailable(_) => "store-unavailable",
        Error::NoSuchStore => "store-no-such-store",
        Error::AccessDenied => "store-access-denied",
        Error::Throttled => "store-throttled",
        Error::TooLarge => "store-too-large",
        Error::InvalidKey => "store-invalid-key",
        Error::Unsupported => "store-unsupported",
        Error::Other(_) => "store-other",
    }
}
