//! What is wrong with one field of what a caller sent.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
};
use core::fmt;

/// Why a request is not well formed. Repeats no value that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FieldError {
    /// The field's name in JSON, or empty where the request as a whole is meant.
    pub field: String,
    /// A sentence for people.
    pub detail: String,
}

impl FieldError {
    /// That the field of this name `detail`s: `FieldError::new("key", "is missing.")`. Without a name, `detail` is the sentence.
    pub fn new(field: &str, detail: impl fmt::Display) -> Self {
        let detail = if field.is_empty() { detail.to_string() } else { format!("`{field}` {detail}") };
        Self { field: field.to_owned(), detail }
    }
}
