//! Readers of option values. Each error completes a sentence: "invalid value for '--limit': must be
//! a whole number".

use std::net::SocketAddr;
use std::str::FromStr;

use countersign::domain::{DomainError, DomainRule};

/// Reads `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads a duration in seconds, or with the unit s, m, h or d.
pub(crate) fn seconds(text: &str) -> Result<u32, &'static str> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => 1,
    };
    number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or("must be a duration such as 90, 12h or 7d")
}

/// Reads a whole number of at least 0.
pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| "must be a whole number, and not too large")
}

/// Reads an address with a port.
pub(crate) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "must be an address and a port, such as 127.0.0.1:3000")
}

/// Reads a domain for a licence. A public suffix, such as `co.uk`, is an error: nobody owns it.
pub(crate) fn registrable(text: &str) -> Result<DomainRule, DomainError> {
    let rule = DomainRule::parse(text)?;
    rule.check_registrable()?;
    Ok(rule)
}
