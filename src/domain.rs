//! The domain that a request names, and the rules of a licence that cover it.
//!
//! A domain is a host name or an IP address. Host names are compared in ASCII, by UTS 46, as
//! browsers do ("domain to ASCII" in the WHATWG URL standard). One rule is stricter: a label is 1
//! to 63 bytes from `[a-z0-9_-]` and neither begins nor ends with a hyphen. RFC 1123 does not allow
//! the underscore, but it is in use, and browsers accept it.
//!
//! IP addresses are equal or not; none is below another. As in the WHATWG URL standard ("ends in a
//! number"), a host whose last label is numeric is an IPv4 address or malformed: a rule `1.2.3.4`
//! covers only `1.2.3.4`, and `5.1.2.3.4` is refused. Unlike there, an IPv4 address is only four
//! decimal numbers without leading zeros.

use crate::limits::{MAX_DOMAIN_BYTES, MAX_GIVEN_DOMAIN_BYTES, MAX_LABEL_BYTES};
use alloc::{
    borrow::{Cow, ToOwned},
    format,
    string::{String, ToString},
};
use core::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// A host name in lower-case ASCII without trailing dot and port, an IPv4 address, or an IPv6
/// address in brackets (as RFC 5952 writes it).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Domain {
    text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Name,
    Address,
}

/// Domains that a licence covers: `example.com` covers that name and all below it, `*.example.com`
/// only those below it, and an IP address only itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DomainRule {
    domain: Domain,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scope {
    NameAndBelow,
    Below,
}

/// Names that take no seat: those that a [`DomainRule`] covers, such as `localhost` or `*.test`, or
/// with `staging.*` those whose first label is `staging`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UncountedName(Uncounted);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Uncounted {
    Rule(DomainRule),
    FirstLabel(String),
}

/// Why a text is not a valid [`Domain`], [`DomainRule`] or [`UncountedName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It has more than 253 bytes in ASCII.
    #[error("is longer than {MAX_DOMAIN_BYTES} bytes")]
    TooLong,
    /// It has a scheme, a user, a path, a query or a fragment.
    #[error("must be a host name or IP address, without scheme, user, path, query or fragment")]
    Url,
    /// The colon is not followed by a valid port.
    #[error("has an invalid port; a port is a number from 0 to 65535")]
    Port,
    /// It has two dots in a row, or begins with one.
    #[error("has an empty label: a dot at its beginning, or two in a row")]
    EmptyLabel,
    /// A label has more than 63 bytes in ASCII.
    #[error("has a label longer than {MAX_LABEL_BYTES} bytes")]
    LongLabel,
    /// A label begins or ends with a hyphen.
    #[error("has a label that begins or ends with a hyphen")]
    Hyphen,
    /// It has a character that is not allowed in a host name.
    #[error("has a character that is not allowed in a host name; use letters, digits, hyphens and underscores")]
    Character,
    /// A label has no form in ASCII, or is not a valid A-label (`xn--`).
    #[error("is not a valid internationalised name (UTS 46)")]
    Idna,
    /// It looks like an IP address but is not one.
    #[error("looks like an IP address but is not a valid one, such as 192.0.2.1 or [2001:db8::1]")]
    Address,
    /// It is a public suffix, such as `co.uk` or `github.io`.
    #[error("is a public suffix, under which anyone can register a name")]
    PublicSuffix,
}

impl Domain {
    /// Reads a host name or IP address as a program knows it.
    ///
    /// A name may be in Unicode or ASCII, in any case, with one trailing dot, and with a port. An
    /// IPv6 address may be in brackets, and must be if a port follows.
    ///
    /// # Errors
    ///
    /// [`DomainError`], which says what is wrong with the text.
    pub fn parse(given: &str) -> Result<Self, DomainError> {
        // Domains in records are in this form already, and a record may have a thousand.
        if is_plain_name(given) {
            Ok(Self { text: given.to_owned(), kind: Kind::Name })
        } else {
            Self::normalise(given)
        }
    }

    fn normalise(given: &str) -> Result<Self, DomainError> {
        if given.is_empty() {
            return Err(DomainError::Empty);
        }
        if given.len() > MAX_GIVEN_DOMAIN_BYTES {
            return Err(DomainError::TooLong);
        }
        if given.contains(['/', '\\', '?', '#', '@']) {
            return Err(DomainError::Url);
        }
        if let Ok(address) = given.parse() {
            return Ok(Self::ipv6(address));
        }
        if let Some(rest) = given.strip_prefix('[') {
            let (address, port) = rest.split_once(']').ok_or(DomainError::Address)?;
            let address = address.parse().map_err(|_| DomainError::Address)?;
            check_port(port)?;
            return Ok(Self::ipv6(address));
        }
        let (host, port) = given.split_at(given.find(':').unwrap_or(given.len()));
        check_port(port)?;
        let ascii = to_ascii(host)?;
        Self::name_or_ipv4(ascii.strip_suffix('.').unwrap_or(&ascii))
    }

    /// The domain as it is compared and printed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its site: this one, and the one that differs by a leading `www.` alone. An
    /// address is its site's only name.
    pub(crate) fn names_of_site(&self) -> (String, Option<String>) {
        if self.kind == Kind::Address {
            return (self.text.clone(), None);
        }
        let bare = self.without_www().map_or_else(|| self.text.clone(), |bare| bare.text);
        let www = format!("www.{bare}");
        (bare, Some(www))
    }

    /// The name of its site without the leading `www.` that this one has.
    pub(crate) fn without_www(&self) -> Option<Self> {
        // `www.com` is a name of its own, and not one of the site `com`.
        let bare = self.text.strip_prefix("www.").filter(|bare| bare.contains('.'))?;
        Some(Self { text: bare.to_owned(), kind: Kind::Name })
    }

    fn ipv6(address: Ipv6Addr) -> Self {
        Self { text: format!("[{address}]"), kind: Kind::Address }
    }

    fn name_or_ipv4(ascii: &str) -> Result<Self, DomainError> {
        if ascii.is_empty() {
            return Err(DomainError::EmptyLabel);
        }
        if ascii.len() > MAX_DOMAIN_BYTES {
            return Err(DomainError::TooLong);
        }
        ascii.split('.').try_for_each(check_label)?;
        let last = ascii.rsplit('.').next().unwrap_or(ascii);
        if !is_number(last) {
            return Ok(Self { text: ascii.to_owned(), kind: Kind::Name });
        }
        let address: Ipv4Addr = ascii.parse().map_err(|_| DomainError::Address)?;
        Ok(Self { text: address.to_string(), kind: Kind::Address })
    }
}

impl DomainRule {
    /// Reads a rule: a domain as [`Domain::parse`] reads it, or `*.` and a host name.
    ///
    /// # Errors
    ///
    /// [`DomainError`], which says what is wrong with the text.
    pub fn parse(given: &str) -> Result<Self, DomainError> {
        let Some(parent) = given.strip_prefix("*.") else {
            return Ok(Self { domain: Domain::parse(given)?, scope: Scope::NameAndBelow });
        };
        match Domain::parse(parent)? {
            Domain { kind: Kind::Address, .. } => Err(DomainError::Address),
            domain => Ok(Self { domain, scope: Scope::Below }),
        }
    }

    /// Whether the rule covers a program at that domain.
    pub fn covers(&self, domain: &Domain) -> bool {
        let own = &self.domain;
        let is_own = own == domain && self.scope == Scope::NameAndBelow;
        // A domain below has a dot before the rule's name, and something before that.
        let is_below = own.kind == Kind::Name
            && domain.kind == Kind::Name
            && domain.text.strip_suffix(&own.text).is_some_and(|rest| rest.ends_with('.'));
        is_own || is_below
    }

    /// Refuses a public suffix, with or without `*.`: the rule would cover strangers.
    ///
    /// Call it when a licence is written. Reading a licence does not, so that a suffix that joins
    /// the list later does not make old licences unreadable. The list is
    /// <https://publicsuffix.org>, both its parts, as of the `psl` crate's release. A name of one
    /// label that is not on it, such as `localhost`, is accepted.
    ///
    /// # Errors
    ///
    /// [`DomainError::PublicSuffix`], and no other.
    pub fn check_registrable(&self) -> Result<(), DomainError> {
        let name = self.domain.text.as_bytes();
        let is_suffix = self.domain.kind == Kind::Name
            && psl::suffix(name).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == name);
        if is_suffix { Err(DomainError::PublicSuffix) } else { Ok(()) }
    }
}

impl UncountedName {
    /// Reads a rule as [`DomainRule::parse`] does, public suffixes included, or a label and `.*`.
    ///
    /// # Errors
    ///
    /// [`DomainError`], which says what is wrong with the text.
    pub fn parse(given: &str) -> Result<Self, DomainError> {
        let Some(label) = given.strip_suffix(".*") else {
            return Ok(Self(Uncounted::Rule(DomainRule::parse(given)?)));
        };
        match Domain::parse(label)? {
            Domain { text, kind: Kind::Name } if !text.contains('.') => Ok(Self(Uncounted::FirstLabel(text))),
            _ => Err(DomainError::Character),
        }
    }

    /// Whether a program at that domain takes no seat.
    pub fn covers(&self, domain: &Domain) -> bool {
        match &self.0 {
            Uncounted::Rule(rule) => rule.covers(domain),
            Uncounted::FirstLabel(label) => {
                domain.kind == Kind::Name && domain.text.split_once('.').is_some_and(|(first, _)| first == label)
            }
        }
    }
}

/// Whether the text is clearly a host name in its normal form: in lower-case ASCII, without labels
/// that UTS 46 would check, and with a last label that begins with a letter, so not a number. Other
/// names go through [`Domain::normalise`].
fn is_plain_name(given: &str) -> bool {
    given.len() <= MAX_DOMAIN_BYTES
        && given.split('.').all(|label| check_label(label).is_ok() && !label.starts_with("xn--"))
        && given.rsplit('.').next().is_some_and(|last| last.starts_with(|first: char| first.is_ascii_lowercase()))
}

/// Accepts an empty text, or a colon and a port.
fn check_port(text: &str) -> Result<(), DomainError> {
    match text.strip_prefix(':') {
        None if text.is_empty() => Ok(()),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok() => Ok(()),
        _ => Err(DomainError::Port),
    }
}

/// UTS 46 "ToASCII", non-transitional. Most names are ASCII already and need only lower case.
fn to_ascii(host: &str) -> Result<Cow<'_, str>, DomainError> {
    let lower = host.to_ascii_lowercase();
    if lower.is_ascii() && !lower.split('.').any(|label| label.starts_with("xn--")) {
        return Ok(Cow::Owned(lower));
    }
    // `name_or_ipv4` checks characters, hyphens and lengths, for these names and all others.
    Uts46::new()
        .to_ascii(host.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore)
        .map_err(|_| DomainError::Idna)
}

fn check_label(label: &str) -> Result<(), DomainError> {
    if label.is_empty() {
        Err(DomainError::EmptyLabel)
    } else if !label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')) {
        Err(DomainError::Character)
    } else if label.len() > MAX_LABEL_BYTES {
        Err(DomainError::LongLabel)
    } else if label.starts_with('-') || label.ends_with('-') {
        Err(DomainError::Hyphen)
    } else {
        Ok(())
    }
}

/// What the WHATWG URL standard treats as a number at the end of a host: digits, or `0x` and
/// hexadecimal digits.
fn is_number(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit())
        || label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for DomainRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::NameAndBelow => self.domain.fmt(f),
            Scope::Below => write!(f, "*.{}", self.domain),
        }
    }
}

impl fmt::Display for UncountedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Uncounted::Rule(rule) => rule.fmt(f),
            Uncounted::FirstLabel(label) => write!(f, "{label}.*"),
        }
    }
}

text_form!(UncountedName, DomainError);
text_form!(Domain, DomainError, |domain| &domain.text);
text_form!(DomainRule, DomainError);

#[cfg(test)]
mod tests {
    use super::{Domain, Kind, MAX_DOMAIN_BYTES, MAX_LABEL_BYTES, is_plain_name};
    use std::{format, string::String};

    /// For every text of up to five of these characters.
    #[test]
    fn plain_names_are_in_normal_form() {
        const CHARACTERS: [char; 10] = [':', 'x', 'n', '0', '7', '-', '_', '.', 'B', 'a'];
        let mut plain = 0;
        for number in 0..10_u32.pow(5) {
            let text: String = format!("{number}").bytes().map(|digit| CHARACTERS[usize::from(digit - b'0')]).collect();
            plain += u32::from(check(&text));
        }
        assert!(plain > 1_000, "{plain}");
    }

    #[test]
    fn plain_names_have_the_same_bounds_as_others() {
        for length in MAX_LABEL_BYTES - 1..=MAX_LABEL_BYTES + 1 {
            assert_eq!(check(&format!("{}.a", "a".repeat(length))), length <= MAX_LABEL_BYTES);
        }
        let longest = "a.".repeat(MAX_DOMAIN_BYTES / 2) + "a";
        assert!(longest.len() == MAX_DOMAIN_BYTES && check(&longest) && !check(&(longest + "a")));
        assert!(!check("xn--a.a") && !check("a.xn--a") && check("a.xn-a"));
    }

    fn check(text: &str) -> bool {
        let is_plain = is_plain_name(text);
        if is_plain {
            assert_eq!(Domain::normalise(text), Ok(Domain { text: text.into(), kind: Kind::Name }), "{text}");
        }
        is_plain
    }
}
