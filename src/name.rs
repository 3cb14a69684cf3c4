//! Names that vendors choose, and the nonce that a caller chooses.

use crate::limits::{
    MAX_DISPLAY_NAME_BYTES, MAX_IDEMPOTENCY_KEY_BYTES, MAX_IDENTIFIER_BYTES, MAX_NAME_BYTES, MAX_NONCE_BYTES,
};
use alloc::{borrow::ToOwned, string::String};
use core::fmt;

/// Why a text is no such name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no character at all.
    #[error("is empty")]
    Empty,
    /// It has more bytes than such a name may have.
    #[error("is too long")]
    TooLong,
    /// It has a character that such a name may not have.
    #[error("has a character that is not allowed in it")]
    Character,
}

/// The word is none of those that may stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of the words that may stand there")]
pub struct UnknownWord;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max_bytes:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is, if it is such a name.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() {
                    Err(NameError::Empty)
                } else if text.len() > $max_bytes {
                    Err(NameError::TooLong)
                } else if !text.chars().all(allowed) {
                    Err(NameError::Character)
                } else {
                    Ok(Self(text.to_owned()))
                }
            }

            /// The text of it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        text_form!($name, NameError, |name| &name.0);
    };
}

name! {
    /// What is licensed: 1 to 64 characters from `[a-z0-9-]`.
    Product, MAX_NAME_BYTES, |c| matches!(c, 'a'..='z' | '0'..='9' | '-')
}

name! {
    /// A plan or a feature: 1 to 64 bytes without control characters. Compared byte for byte.
    Label, MAX_NAME_BYTES, |c| !c.is_control()
}

name! {
    /// What people call a product, a policy or a token: 1 to 256 bytes without control characters.
    DisplayName, MAX_DISPLAY_NAME_BYTES, |c| !c.is_control()
}

name! {
    /// A user's id or one component of a fingerprint: 1 to 256 bytes of any kind. Compared byte for byte.
    Identifier, MAX_IDENTIFIER_BYTES, |_| true
}

name! {
    /// What a caller sends so that a repeated request has one effect: 1 to 255 visible ASCII characters.
    IdempotencyKey, MAX_IDEMPOTENCY_KEY_BYTES, |c| c.is_ascii_graphic()
}

name! {
    /// What a caller sends to recognise the answer by: 1 to 128 visible ASCII characters.
    Nonce, MAX_NONCE_BYTES, |c| c.is_ascii_graphic()
}
