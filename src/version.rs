//! Versions of the licensed program, and the range that a licence covers.

use crate::limits::MAX_VERSION_BYTES;
use alloc::{borrow::ToOwned, string::String};
use core::{cmp::Ordering, fmt};
use serde::{Deserialize, Serialize};

/// A version as in Semantic Versioning 2.0.0, except that minor and patch are optional and default
/// to 0.
///
/// It is printed as it was given and compared by precedence (section 11): `1.2` equals `1.2.0` and
/// `1.2.0+build`.
#[derive(Clone, Debug)]
pub struct Version {
    text: String,
    /// Major, minor and patch.
    core: [u64; 3],
    /// The range of the pre-release in `text`; empty without one.
    pre: core::ops::Range<usize>,
}

/// Why a text is not a valid [`Version`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// It has more than 255 bytes.
    #[error("is longer than {MAX_VERSION_BYTES} bytes")]
    TooLong,
    /// It is not a semantic version.
    #[error("must be a semantic version, such as 2.1.0 or 2.1.0-rc.1")]
    Form,
    /// A number in it does not fit 64 bits.
    #[error("has a number of more than 64 bits")]
    Number,
}

impl Version {
    /// Reads `1`, `1.2` or `1.2.3`, with an optional pre-release (`-rc.1`) and build metadata
    /// (`+linux`).
    ///
    /// # Errors
    ///
    /// [`VersionError`], which says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_VERSION_BYTES {
            return Err(VersionError::TooLong);
        }
        let (rest, build) = match text.split_once('+') {
            Some((rest, build)) => (rest, Some(build)),
            None => (text, None),
        };
        let (numbers, pre) = match rest.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (rest, None),
        };
        let mut core = [0; 3];
        let mut slots = core.iter_mut();
        for number in numbers.split('.') {
            *slots.next().ok_or(VersionError::Form)? = parse_number(number)?;
        }
        let well_formed = pre.is_none_or(|pre| pre.split('.').all(is_pre_release_identifier))
            && build.is_none_or(|build| build.split('.').all(is_identifier));
        if !well_formed {
            return Err(VersionError::Form);
        }
        let pre = pre.map_or(0..0, |pre| rest.len() - pre.len()..rest.len());
        Ok(Self { text: text.to_owned(), core, pre })
    }

    /// The version as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn pre(&self) -> &str {
        &self.text[self.pre.clone()]
    }
}

/// Section 2: no leading zeros.
fn parse_number(text: &str) -> Result<u64, VersionError> {
    if !is_number(text) || (text.len() > 1 && text.starts_with('0')) {
        return Err(VersionError::Form);
    }
    text.parse().map_err(|_| VersionError::Number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Section 10.
fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Section 9: as for builds, but a number has no leading zeros.
fn is_pre_release_identifier(text: &str) -> bool {
    is_identifier(text) && !(is_number(text) && text.len() > 1 && text.starts_with('0'))
}

/// Section 11.4. Numbers are compared by length first: they have no leading zeros, and need not fit
/// 64 bits.
fn compare_identifiers(left: &str, right: &str) -> Ordering {
    match (is_number(left), is_number(right)) {
        (true, true) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.cmp(right),
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.core.cmp(&other.core).then_with(|| match (self.pre(), other.pre()) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (left, right) => {
                let (mut left, mut right) = (left.split('.'), right.split('.'));
                loop {
                    match (left.next(), right.next()) {
                        (Some(left), Some(right)) => match compare_identifiers(left, right) {
                            Ordering::Equal => {}
                            unequal => return unequal,
                        },
                        (left, right) => return left.is_some().cmp(&right.is_some()),
                    }
                }
            }
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

text_form!(Version, VersionError, |version| &version.text);

/// The versions that a licence covers. An absent bound is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionRange {
    /// The first version covered.
    #[serde(default, deserialize_with = "crate::text::present", skip_serializing_if = "Option::is_none")]
    pub from: Option<Version>,
    /// The first version that is not covered, and neither are its pre-releases.
    #[serde(default, deserialize_with = "crate::text::present", skip_serializing_if = "Option::is_none")]
    pub below: Option<Version>,
}

impl VersionRange {
    /// Whether the version is in the range.
    ///
    /// If `below` is a release, its own pre-releases are not covered either: `3.0.0-rc.1` precedes
    /// `3.0.0`, but a vendor who sells "everything below 3" does not mean to include its beta.
    pub fn covers(&self, version: &Version) -> bool {
        let reached = self.from.as_ref().is_none_or(|from| version >= from);
        let passed = self
            .below
            .as_ref()
            .is_some_and(|below| version >= below || (below.pre().is_empty() && version.core == below.core));
        reached && !passed
    }
}
