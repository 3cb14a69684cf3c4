//! Domains: what a request names, and the entries of a licence that cover it.
//!
//! A domain is a host name or an IP address. Names are compared as UTS 46 makes them ASCII, as in browsers (the WHATWG
//! URL standard's "domain to ASCII", with these stricter than it: a label is 1 to 63 bytes from `[a-z0-9_-]` that
//! neither begins nor ends with a hyphen). The underscore is no host name's by RFC 1123 but is in use, and browsers go
//! there.
//!
//! IP addresses are equal or not; none is below another. As in the WHATWG URL standard ("ends in a number"), what ends
//! in a numeric label is an IPv4 address or malformed: `1.2.3.4` is the one thing that an entry `1.2.3.4` covers, and
//! `5.1.2.3.4` is nothing. Unlike there, only four decimal numbers without leading zeros are an IPv4 address.

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

/// A host name in lower-case ASCII without trailing dot and port, an IPv4 address, or an IPv6 address in brackets (RFC
/// 5952 within).
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

/// What a licence covers: `example.com` that name and all below it, `*.example.com` all below it alone, an IP address
/// itself.
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

/// Why a text is no domain, or no entry of a licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// It has no character at all.
    #[error("is empty")]
    Empty,
    /// It has more than 253 bytes in ASCII.
    #[error("is longer than {MAX_DOMAIN_BYTES} bytes")]
    TooLong,
    /// It has a scheme, a user, a path, a query or a fragment.
    #[error("must be a host name or IP address, without scheme, user, path, query or fragment")]
    Url,
    /// What follows the colon is no port.
    #[error("has an invalid port; a port is a number from 0 to 65535")]
    Port,
    /// Two dots in a row, or one at the beginning.
    #[error("has an empty label: a dot at its beginning, or two in a row")]
    EmptyLabel,
    /// A label has more than 63 bytes in ASCII.
    #[error("has a label longer than {MAX_LABEL_BYTES} bytes")]
    LongLabel,
    /// A label begins or ends with a hyphen.
    #[error("has a label that begins or ends with a hyphen")]
    Hyphen,
    /// A character that no host name has.
    #[error("has a character that is not allowed in a host name")]
    Character,
    /// A label that has no form in ASCII, or one (`xn--`) that is no label's.
    #[error("is not a valid internationalised name (UTS 46)")]
    Idna,
    /// It looks like an IP address and is none.
    #[error("looks like an IP address but is not a valid one")]
    Address,
    /// An entry under which anyone can register a name (`co.uk`, `github.io`).
    #[error("is a public suffix, under which anyone can register a name")]
    PublicSuffix,
}

impl Domain {
    /// Reads a host name or IP address as a program knows it: in Unicode or ASCII, any case, with or without one
    /// trailing dot and a port; an IPv6 address with or without brackets, with them where a port follows.
    pub fn parse(given: &str) -> Result<Self, DomainError> {
        // What was written by us reads quickly: a record may hold a thousand of these.
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

    /// As it is compared and printed.
    pub fn as_str(&self) -> &str {
        &self.text
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
    /// Reads an entry: what [`Domain::parse`] reads, or `*.` and a host name.
    pub fn parse(given: &str) -> Result<Self, DomainError> {
        let Some(parent) = given.strip_prefix("*.") else {
            return Ok(Self { domain: Domain::parse(given)?, scope: Scope::NameAndBelow });
        };
        match Domain::parse(parent)? {
            Domain { kind: Kind::Address, .. } => Err(DomainError::Address),
            domain => Ok(Self { domain, scope: Scope::Below }),
        }
    }

    /// Whether a program at that domain is covered.
    pub fn covers(&self, domain: &Domain) -> bool {
        let entry = &self.domain;
        let is_entry = entry == domain && self.scope == Scope::NameAndBelow;
        // Below means: the entry, a dot before it, and something before that.
        let is_below = entry.kind == Kind::Name
            && domain.kind == Kind::Name
            && domain.text.strip_suffix(&entry.text).is_some_and(|rest| rest.ends_with('.'));
        is_entry || is_below
    }

    /// Refuses an entry that is a public suffix, with or without `*.`: it would cover strangers. For whoever writes a
    /// licence; a suffix that joins the list later does not make an old licence unreadable.
    ///
    /// The list is <https://publicsuffix.org>, both its parts, as of the `psl` crate's release. A name of one label
    /// that is not on it, such as `localhost`, is fine.
    pub fn check_registrable(&self) -> Result<(), DomainError> {
        let name = self.domain.text.as_bytes();
        let is_suffix = self.domain.kind == Kind::Name
            && psl::suffix(name).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == name);
        if is_suffix { Err(DomainError::PublicSuffix) } else { Ok(()) }
    }
}

/// Whether this is a name that is as it is compared already, and plainly so: lower-case ASCII, no label that UTS 46 has a say in, and
/// a last one that begins with a letter and so is no number. Whatever else is a name too takes the long way.
fn is_plain_name(given: &str) -> bool {
    given.len() <= MAX_DOMAIN_BYTES
        && given.split('.').all(|label| check_label(label).is_ok() && !label.starts_with("xn--"))
        && given.rsplit('.').next().is_some_and(|last| last.starts_with(|first: char| first.is_ascii_lowercase()))
}

/// Nothing, or a colon and a port.
fn check_port(text: &str) -> Result<(), DomainError> {
    match text.strip_prefix(':') {
        None if text.is_empty() => Ok(()),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok() => Ok(()),
        _ => Err(DomainError::Port),
    }
}

/// UTS 46 "ToASCII", non-transitional. Most names are ASCII already, and then it is the case that is left to fold.
fn to_ascii(host: &str) -> Result<Cow<'_, str>, DomainError> {
    let lower = host.to_ascii_lowercase();
    if lower.is_ascii() && !lower.split('.').any(|label| label.starts_with("xn--")) {
        return Ok(Cow::Owned(lower));
    }
    // The checks of characters, hyphens and lengths follow, for these names and all others.
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

/// What the WHATWG URL standard takes for a number at the end of a host: digits, or hexadecimal ones after `0x`.
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

text_form!(Domain, DomainError, |domain| &domain.text);
text_form!(DomainRule, DomainError);

#[cfg(test)]
mod tests {
    use super::{Domain, Kind, MAX_DOMAIN_BYTES, MAX_LABEL_BYTES, is_plain_name};
    use std::{format, string::String};

    /// Every text of up to five of these is taken as the long way takes it, or takes it.
    #[test]
    fn plain_names_are_what_they_would_become() {
        const CHARACTERS: [char; 10] = [':', 'x', 'n', '0', '7', '-', '_', '.', 'B', 'a'];
        let mut plain = 0;
        for number in 0..10_u32.pow(5) {
            let text: String = format!("{number}").bytes().map(|digit| CHARACTERS[usize::from(digit - b'0')]).collect();
            plain += u32::from(check(&text));
        }
        assert!(plain > 1_000, "{plain}");
    }

    #[test]
    fn plain_names_have_the_bounds_of_all() {
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
