//! Where a request came from, by the headers of the proxies that passed it on: `Forwarded`
//! (RFC 7239) and `X-Forwarded-For`.
//!
//! Each proxy appends the address that it saw. So a list is read from its end, past the addresses
//! of trusted proxies: the next one is the caller's. What is before that one is the caller's own
//! word, whatever it looks like.
//!
//! A proxy that writes one of the headers may pass on the other as the caller sent it. So if both
//! name an address, it must be the same one.

use core::net::IpAddr;

/// What the lines of a header say.
#[derive(Clone, Copy)]
enum Told {
    /// Nothing, or only addresses of trusted proxies.
    Nothing,
    /// Something that is not an address.
    Unclear,
    Address(IpAddr),
}

/// The address of the caller whose request came from this trusted proxy, by the lines of
/// `Forwarded` and of `X-Forwarded-For`. It is the proxy's own if they do not name one.
///
/// `is_trusted` says which other addresses are trusted proxies. It gets addresses of IPv4 as such,
/// also those that were written as IPv6.
pub fn caller<'a>(
    proxy: IpAddr,
    forwarded: impl Iterator<Item = &'a [u8]>,
    forwarded_for: impl Iterator<Item = &'a [u8]>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let (mut first, mut second) = (Told::Nothing, Told::Nothing);
    forwarded.for_each(|line| read_forwarded(line, |node| first.add(node, &is_trusted)));
    forwarded_for.for_each(|line| read_list(line, |node| second.add(node, &is_trusted)));
    match (first, second) {
        (Told::Address(address), Told::Nothing) | (Told::Nothing, Told::Address(address)) => address,
        (Told::Address(address), Told::Address(other)) if address == other => address,
        _ => proxy,
    }
}

impl Told {
    /// Goes on to the next entry of the list. One that is not a trusted proxy's makes those before
    /// it worthless.
    fn add(&mut self, node: Option<IpAddr>, is_trusted: impl Fn(IpAddr) -> bool) {
        match node {
            None => *self = Self::Unclear,
            Some(address) if is_trusted(address) => {}
            Some(address) => *self = Self::Address(address),
        }
    }
}

/// Reads a line of `X-Forwarded-For`.
fn read_list(line: &[u8], add: impl FnMut(Option<IpAddr>)) {
    let entries = line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    entries.filter(|entry| !entry.is_empty()).map(address).for_each(add);
}

/// Reads a line of `Forwarded`. From an error on, nobody can say where an element ends, so all the
/// rest is one that is not an address.
fn read_forwarded(line: &[u8], mut add: impl FnMut(Option<IpAddr>)) {
    // Of one element: whether it has a parameter, and the value of `for`.
    let (mut is_element, mut node) = (false, None);
    let mut rest = line.trim_ascii_start();
    loop {
        match rest.first() {
            None | Some(b',') => {
                if is_element {
                    add(node.and_then(address));
                }
                (is_element, node) = (false, None);
            }
            Some(b';') => {}
            Some(_) => match parameter(rest) {
                Some((name, value, after)) if !(name.eq_ignore_ascii_case(b"for") && node.is_some()) => {
                    is_element = true;
                    if name.eq_ignore_ascii_case(b"for") {
                        node = Some(value);
                    }
                    rest = after;
                    continue;
                }
                _ => return add(None),
            },
        }
        match rest.split_first() {
            None => return,
            Some((_, after)) => rest = after.trim_ascii_start(),
        }
    }
}

/// The name and value that a line begins with, and what follows: nothing or a separator.
fn parameter(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let equals = line.iter().position(|byte| !is_token(*byte)).filter(|at| *at > 0 && line[*at] == b'=')?;
    let (name, rest) = (&line[..equals], &line[equals + 1..]);
    let (value, after) = match rest.strip_prefix(b"\"") {
        Some(quoted) => {
            let mut is_escaped = false;
            let end = quoted.iter().position(|byte| {
                let is_end = *byte == b'"' && !is_escaped;
                is_escaped = *byte == b'\\' && !is_escaped;
                is_end
            })?;
            (&quoted[..end], &quoted[end + 1..])
        }
        // Some proxies write an address of IPv6, or a port, without the quotes that it needs.
        None => {
            let is_other = |byte: &u8| !is_token(*byte) && !b":[]".contains(byte);
            let end = rest.iter().position(is_other).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            rest.split_at(end)
        }
    };
    let after = after.trim_ascii_start();
    matches!(after.first(), None | Some(b',' | b';')).then_some((name, value, after))
}

/// A byte of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// An address with or without a port: `192.0.2.1:80`, `[2001:db8::1]:80`, `2001:db8::1`.
fn address(node: &[u8]) -> Option<IpAddr> {
    let node = str::from_utf8(node).ok()?;
    let (address, port) = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (IpAddr::V6(address.parse().ok()?), port)
        }
        None => match node.parse() {
            Ok(address) => (address, ""),
            Err(_) => {
                let (address, port) = node.split_at(node.find(':')?);
                (IpAddr::V4(address.parse().ok()?), port)
            }
        },
    };
    // A number, or a name in place of one (RFC 7239, section 6).
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte != b':' && is_token(byte));
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then(|| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    /// The caller by these lines, with 10.0.0.0/8 trusted.
    fn told(forwarded: &[&str], forwarded_for: &[&str]) -> std::string::String {
        let is_trusted = |address| matches!(address, IpAddr::V4(address) if address.octets()[0] == 10);
        let [forwarded, forwarded_for] =
            [forwarded, forwarded_for].map(|lines| lines.iter().map(|line| line.as_bytes()));
        let caller = caller(PROXY, forwarded, forwarded_for, is_trusted);
        if caller == PROXY { "the proxy".into() } else { std::format!("{caller}") }
    }

    #[test]
    fn the_last_address_that_is_not_a_trusted_proxys_is_the_callers() {
        for (lines, expected) in [
            (&[][..], "the proxy"),
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
            (&["203.0.113.9,192.0.2.1 ,10.1.2.3,\t10.1.2.4"], "192.0.2.1"),
            (&["203.0.113.9", "192.0.2.1", "10.1.2.3"], "192.0.2.1"),
            (&["10.1.2.3, 10.1.2.4"], "the proxy"),
            (&["not an address, 192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, , ,"], "192.0.2.1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, ::ffff:10.1.2.3"], "192.0.2.1"),
        ] {
            assert_eq!(told(&[], lines), expected, "{lines:?}");
        }
        for (lines, expected) in [
            (&["for=192.0.2.1"][..], "192.0.2.1"),
            (&["For=192.0.2.1;proto=https;by=10.0.0.1"], "192.0.2.1"),
            (&["proto=https ; for=\"192.0.2.1:80\""], "192.0.2.1"),
            (&["for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (&["for=[2001:db8::1]"], "2001:db8::1"),
            (&["for=203.0.113.9, for=192.0.2.1, for=10.1.2.3"], "192.0.2.1"),
            (&["for=203.0.113.9, for=192.0.2.1", "for=\"10.1.2.3:_port\""], "192.0.2.1"),
            (&["for=unknown, for=192.0.2.1"], "192.0.2.1"),
            (&["host=\"a, for=203.0.113.9\\\"\";for=192.0.2.1"], "192.0.2.1"),
            (&["for=\"", "for=192.0.2.1"], "192.0.2.1"),
            (&[",for=192.0.2.1;,"], "192.0.2.1"),
        ] {
            assert_eq!(told(lines, &[]), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_not_taken_for_one() {
        for line in [
            "unknown",
            "192.0.2.1 192.0.2.2",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.1:",
            "192.0.2.1:8 0",
            "[2001:db8::1",
            "[192.0.2.1]",
            "2001:db8::1%eth0",
            "[2001:db8::1]80",
            "\"192.0.2.1\"",
            "192.0.2.1, unknown",
            "192.0.2.1;",
            "192.0.2.1, unknown, 10.1.2.3",
            "é",
        ] {
            assert_eq!(told(&[], &[line]), "the proxy", "{line}");
        }
        for line in [
            "192.0.2.1",
            "for=",
            "for=unknown",
            "for=_hidden",
            "for=192.0.2.1, for=unknown",
            "for=192.0.2.1, proto=https",
            "for=192.0.2.1;for=192.0.2.1",
            "for=192.0.2.1 for=192.0.2.2",
            "for=\"192.0.2.1",
            "for=\"192.0.2.1\"x",
            "for=192.0.2.1;by",
            "for =192.0.2.1",
            "for= 192.0.2.1",
            "for=\"192.0.2.\\1\"",
            "for=192.0.2.1, =x",
            "=",
        ] {
            assert_eq!(told(&[line], &[]), "the proxy", "{line}");
        }
    }

    #[test]
    fn two_headers_must_agree() {
        assert_eq!(told(&["for=192.0.2.1"], &["203.0.113.9, 192.0.2.1"]), "192.0.2.1");
        assert_eq!(told(&["for=203.0.113.9"], &["203.0.113.9, 192.0.2.1"]), "the proxy");
        assert_eq!(told(&["nonsense"], &["192.0.2.1"]), "the proxy");
        assert_eq!(told(&[""], &["192.0.2.1"]), "192.0.2.1");
    }
}
