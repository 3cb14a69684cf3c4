//! The ids of licences, seats, policies, tokens and events. They reveal neither keys nor holders.

use crate::{crockford, hex, store_keys};
use alloc::{borrow::ToOwned, string::String};
use core::fmt;

/// Why a text is not a valid id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {prefix} and 26 letters and digits")]
pub struct IdError {
    /// What an id of this kind begins with.
    pub prefix: &'static str,
}

/// Declares a kind of id: a prefix, and 128 random bits as 26 symbols of Crockford's base32 in
/// lower case.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident = $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &str = $prefix;

            /// The id for 16 random bytes.
            pub fn generate(random: [u8; 16]) -> Self {
                Self(Self::PREFIX.to_owned() + &crockford::encode(&random))
            }

            /// Takes the text as it is, if it is such an id.
            ///
            /// # Errors
            ///
            /// [`IdError`] if the text is not the prefix and 26 symbols in lower case.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if is_id(text, Self::PREFIX) { Ok(Self(text.to_owned())) } else { Err(IdError { prefix: Self::PREFIX }) }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        text_form!($name, IdError, |id| &id.0);
    };
}

id! {
    /// A licence's id: `lic_` and 26 symbols. It stays when the licence gets another key.
    LicenseId = "lic_"
}

id! {
    /// A policy's id: `pol_` and 26 symbols.
    PolicyId = "pol_"
}

id! {
    /// A vendor's token's id, which reveals nothing of the token: `tok_` and 26 symbols.
    TokenId = "tok_"
}

id! {
    /// An event's id: `evt_` and 26 symbols.
    EventId = "evt_"
}

fn is_id(text: &str, prefix: &str) -> bool {
    let is_symbol = |byte: u8| !byte.is_ascii_uppercase() && crockford::value(byte.to_ascii_uppercase()).is_some();
    let symbols = text.strip_prefix(prefix).filter(|symbols| symbols.len() == crockford::SYMBOLS_OF_128_BITS);
    symbols.is_some_and(|symbols| symbols.bytes().all(is_symbol))
}

impl LicenseId {
    /// The key in the store of the licence's usage state: `state:` and this id.
    pub fn state_key(&self) -> String {
        store_keys::STATE.to_owned() + self.as_str()
    }
}

/// A taken seat's id: `act_` and 16 hexadecimal digits in lower case. It does not reveal the
/// holder's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivationId(pub(crate) u64);

/// The text is not a valid [`ActivationId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be act_ and 16 hexadecimal digits in lower case")]
pub struct ActivationIdError;

impl ActivationId {
    const PREFIX: &str = "act_";

    /// Reads an id.
    ///
    /// # Errors
    ///
    /// [`ActivationIdError`] if the text is not `act_` and 16 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Result<Self, ActivationIdError> {
        let bits = text.strip_prefix(Self::PREFIX).and_then(hex::decode);
        bits.map(|bits| Self(u64::from_be_bytes(bits))).ok_or(ActivationIdError)
    }
}

impl fmt::Display for ActivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::prefixed(Self::PREFIX, &self.0.to_be_bytes()))
    }
}

text_form!(ActivationId, ActivationIdError);
