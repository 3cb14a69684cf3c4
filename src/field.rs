//! The error about one field of a request.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
};
use core::fmt;

/// Why a request is not well formed. It never repeats a value that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FieldError {
    /// The field's name in JSON, or the path to it, such as `activation.per` or `features[1]`.
    /// Empty if the error is about the whole request.
    pub field: String,
    /// A sentence for people.
    pub detail: String,
}

impl FieldError {
    /// An error about the field `field`, which is the subject of the sentence that `detail` ends.
    /// Without a field, `detail` is the whole sentence.
    ///
    /// ```
    /// use countersign::field::FieldError;
    ///
    /// assert_eq!(FieldError::new("key", "is missing.").detail, "`key` is missing.");
    /// assert_eq!(FieldError::new("", "The body is not UTF-8.").detail, "The body is not UTF-8.");
    /// ```
    pub fn new(field: &str, detail: impl fmt::Display) -> Self {
        let detail = if field.is_empty() { detail.to_string() } else { format!("`{field}` {detail}") };
        Self { field: field.to_owned(), detail }
    }

    /// An error about an item of a list. Items are counted from 0, as programs do.
    ///
    /// ```
    /// use countersign::field::FieldError;
    ///
    /// assert_eq!(FieldError::in_list("features", 1, "is empty.").detail, "`features[1]` is empty.");
    /// ```
    pub fn in_list(list: &str, at: usize, detail: impl fmt::Display) -> Self {
        Self::new(&format!("{list}[{at}]"), detail)
    }
}
