//! Versions of the licensed program, and the range that a licence covers.

use crate::limits::MAX_VERSION_BYTES;
use alloc::{borrow::ToOwned, string::String};
use core::{cmp::Ordering, fmt, ops::Range};
use serde::{Deserialize, Serialize};

/// A version of any number of parts, such as `2.1.0-rc.1`, `v5.10.13.661` or `2024.05.01`.
///
/// It is printed as it was given. Versions have one order, which is that of Semantic Versioning
/// 2.0.0 (section 11) for those that it knows:
///
/// 1. Numbers are compared one by one; those that are left out are 0. So `1.2` equals `1.2.0.0` and
///    `2024.05` equals `2024.5`.
/// 2. A pre-release comes before its release: `2.0.0-rc.1` before `2.0.0`. Its identifiers are
///    compared one by one, numbers before words, and fewer before more.
/// 3. A date such as `2024-05-01` is three numbers, and no pre-release.
/// 4. A leading `v` and build metadata (`+linux`) do not count.
#[derive(Clone, Debug)]
pub struct Version {
    text: String,
    /// The range of the numbers in `text`.
    numbers: Range<usize>,
    /// The range of the pre-release in `text`; empty without one.
    pre: Range<usize>,
}

/// Why a text is not a valid [`Version`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// It has more than 255 bytes.
    #[error("is longer than {MAX_VERSION_BYTES} bytes")]
    TooLong,
    /// It has another form.
    #[error("must be numbers with dots between them, such as 2.1.0, 5.10.13.661, 2024.05 or 2.1.0-rc.1")]
    Form,
}

impl Version {
    /// Reads numbers with dots between them, such as `1`, `1.2.3` or `1.2.3.4`, with an optional
    /// `v` before them, an optional pre-release (`-rc.1`) and build metadata (`+linux`) after them.
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
        let end = rest.len();
        let rest = rest.strip_prefix(['v', 'V']).unwrap_or(rest);
        let (numbers, pre) = match rest.split_once('-') {
            Some((numbers, pre)) if !is_date(rest) => (numbers, Some(pre)),
            _ => (rest, None),
        };
        let well_formed = numbers.split(SEPARATORS).all(is_number)
            && pre.is_none_or(|pre| pre.split('.').all(is_identifier))
            && build.is_none_or(|build| build.split('.').all(is_identifier));
        if !well_formed {
            return Err(VersionError::Form);
        }
        let start = end - rest.len();
        let pre = pre.map_or(0..0, |pre| end - pre.len()..end);
        Ok(Self { text: text.to_owned(), numbers: start..start + numbers.len(), pre })
    }

    /// The version as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn numbers(&self) -> &str {
        &self.text[self.numbers.clone()]
    }

    fn pre(&self) -> &str {
        &self.text[self.pre.clone()]
    }
}

/// Between numbers: a dot, and a hyphen in a date.
const SEPARATORS: [char; 2] = ['.', '-'];

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2024-05-01`
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let has_digits = |part: Option<&str>, count| part.is_some_and(|part| part.len() == count && is_number(part));
    has_digits(parts.next(), 4) && has_digits(parts.next(), 2) && has_digits(parts.next(), 2) && parts.next().is_none()
}

/// Sections 9 and 10.
fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Compares digits as numbers, of any length.
fn compare_numbers(left: &str, right: &str) -> Ordering {
    let [left, right] = [left, right].map(|digits| digits.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Compares numbers one by one. Those that are left out are 0.
fn compare_parts(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split(SEPARATORS), right.split(SEPARATORS));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (left, right) => match compare_numbers(left.unwrap_or("0"), right.unwrap_or("0")) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}

/// Section 11.4.
fn compare_identifiers(left: &str, right: &str) -> Ordering {
    match (is_number(left), is_number(right)) {
        (true, true) => compare_numbers(left, right),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.cmp(right),
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_parts(self.numbers(), other.numbers()).then_with(|| match (self.pre(), other.pre()) {
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
        let has_numbers = |left: &Version, right: &Version| compare_parts(left.numbers(), right.numbers()).is_eq();
        let reached = self.from.as_ref().is_none_or(|from| version >= from);
        let passed = self
            .below
            .as_ref()
            .is_some_and(|below| version >= below || (below.pre().is_empty() && has_numbers(version, below)));
        reached && !passed
    }
}
