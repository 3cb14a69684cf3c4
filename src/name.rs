//! Names that vendors choose for what they sell, and that callers choose for themselves and their
//! requests.

use crate::limits::{
    MAX_DISPLAY_NAME_BYTES, MAX_IDEMPOTENCY_KEY_BYTES, MAX_IDENTIFIER_BYTES, MAX_NAME_BYTES, MAX_NONCE_BYTES,
};
use crate::typed::trim;
use alloc::{borrow::ToOwned, string::String};
use core::fmt;

/// Why a text is not a valid name of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It has more bytes than this.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// It has a character that its kind does not allow; the sentence says which are allowed.
    #[error("{0}")]
    Character(&'static str),
}

const NO_CONTROLS: &str = "must not contain control characters";
const VISIBLE_ASCII: &str = "may contain only visible ASCII characters";

/// Declares a kind of name: its maximum of bytes, the allowed characters, and a sentence about
/// these.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max_bytes:expr, $allowed:expr, $sentence:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is, if it is such a name.
            ///
            /// # Errors
            ///
            /// [`NameError`] if the text is empty, too long, or has a character that is not
            /// allowed.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() {
                    Err(NameError::Empty)
                } else if text.len() > $max_bytes {
                    Err(NameError::TooLong($max_bytes))
                } else if !text.chars().all(allowed) {
                    Err(NameError::Character($sentence))
                } else {
                    Ok(Self(text.to_owned()))
                }
            }

            /// The name as text.
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
    /// A product's code: 1 to 64 characters from `[a-z0-9-]`.
    Product, MAX_NAME_BYTES, |c| matches!(c, 'a'..='z' | '0'..='9' | '-'), "may contain only a-z, 0-9 and hyphens"
}

name! {
    /// A plan, feature or allowance: 1 to 64 bytes without control characters. Compared byte for
    /// byte.
    Label, MAX_NAME_BYTES, |c| !c.is_control(), NO_CONTROLS
}

name! {
    /// The display name of a product, a policy or a token: 1 to 256 bytes without control
    /// characters.
    DisplayName, MAX_DISPLAY_NAME_BYTES, |c| !c.is_control(), NO_CONTROLS
}

name! {
    /// A user's id or one component of a fingerprint: 1 to 256 bytes of any kind. Compared byte for
    /// byte.
    Identifier, MAX_IDENTIFIER_BYTES, |_| true, ""
}

impl Identifier {
    /// Takes the text without what programs leave at its ends, such as a line end. Holders and
    /// vendors are read by this, so that both name the same user.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_trimmed(text: &str) -> Result<Self, NameError> {
        Self::parse(trim(text))
    }
}

name! {
    /// What a caller sends so that a repeated request has one effect: 1 to 255 visible ASCII
    /// characters.
    IdempotencyKey, MAX_IDEMPOTENCY_KEY_BYTES, |c| c.is_ascii_graphic(), VISIBLE_ASCII
}

name! {
    /// What a caller sends to find its request again, in an answer or a log: 1 to 128 visible ASCII
    /// characters.
    RequestId, MAX_NONCE_BYTES, |c| c.is_ascii_graphic(), VISIBLE_ASCII
}
