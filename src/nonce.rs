//! What a caller recognises an answer by.

use crate::{
    limits::MAX_NONCE_BYTES,
    name::{NameError, RequestId},
};
use alloc::{boxed::Box, string::String};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A text of 1 to 128 visible ASCII characters, or a number of as many. The answer repeats it as it
/// was sent.
#[derive(Clone, Debug)]
pub struct Nonce(Box<RawValue>);

/// Why a JSON value is not a valid [`Nonce`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// It is neither a string nor a number.
    #[error("must be a string or a number")]
    Type,
    /// It is not a valid text.
    #[error(transparent)]
    Text(#[from] NameError),
}

impl Nonce {
    /// Takes the JSON as it is, if it is a nonce.
    ///
    /// # Errors
    ///
    /// [`NonceError`], which says what is wrong with it.
    pub fn parse(json: Box<RawValue>) -> Result<Self, NonceError> {
        match json.get().as_bytes() {
            [b'"', ..] => {
                let text: String = serde_json::from_str(json.get()).map_err(|_| NonceError::Type)?;
                RequestId::parse(&text)?;
            }
            [b'-' | b'0'..=b'9', ..] if json.get().len() > MAX_NONCE_BYTES => {
                return Err(NameError::TooLong(MAX_NONCE_BYTES).into());
            }
            [b'-' | b'0'..=b'9', ..] => {}
            _ => return Err(NonceError::Type),
        }
        Ok(Self(json))
    }

    /// The nonce as JSON, as it was sent.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Nonce {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for Nonce {}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
