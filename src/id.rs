//! The ids by which licences and seats are named where a key or a holder's name must not appear.

use crate::{crockford, store_keys};
use alloc::{borrow::ToOwned, format, string::String};
use core::fmt;

/// `lic_` and 26 symbols of Crockford's base32 in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LicenseId(String);

/// The text is no licence's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a licence's id is lic_ and 26 letters and digits")]
pub struct LicenseIdError;

impl LicenseId {
    const PREFIX: &str = "lic_";

    /// The id for 16 random bytes.
    pub fn generate(random: [u8; 16]) -> Self {
        let symbols = crockford::values(random).map(|value| char::from(crockford::symbol(value)).to_ascii_lowercase());
        Self(Self::PREFIX.chars().chain(symbols).collect())
    }

    /// Takes the text as it is, if it is such an id.
    pub fn parse(text: &str) -> Result<Self, LicenseIdError> {
        let symbols = text.strip_prefix(Self::PREFIX).ok_or(LicenseIdError)?;
        let well_formed = symbols.len() == crockford::SYMBOLS_OF_128_BITS
            && symbols
                .bytes()
                .all(|byte| crockford::value(byte.to_ascii_uppercase()).is_some_and(|_| !byte.is_ascii_uppercase()));
        if well_formed { Ok(Self(text.to_owned())) } else { Err(LicenseIdError) }
    }

    /// The key in the store under which stands what has become of the licence: `state:` and this id. It outlives a change of the key.
    pub fn state_key(&self) -> String {
        format!("{}{self}", store_keys::STATE)
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LicenseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_form!(LicenseId, LicenseIdError, |id| &id.0);

/// What a seat is called where its holder's name is not known: `act_` and 16 hexadecimal digits in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivationId(pub(crate) u64);

/// The text is no activation's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not act_ and 16 hexadecimal digits in lower case")]
pub struct ActivationIdError;

impl ActivationId {
    const PREFIX: &str = "act_";

    /// Takes the text as it is, if it is such an id.
    pub fn parse(text: &str) -> Result<Self, ActivationIdError> {
        let digits = text.strip_prefix(Self::PREFIX).ok_or(ActivationIdError)?;
        if digits.len() != 16 || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ActivationIdError);
        }
        u64::from_str_radix(digits, 16).map(Self).map_err(|_| ActivationIdError)
    }
}

impl fmt::Display for ActivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}", Self::PREFIX, self.0)
    }
}

text_form!(ActivationId, ActivationIdError);
