//! The header `Host`: RFC 9112, section 3.2.

use std::net::Ipv6Addr;

use hyper::header::HOST;
use hyper::{HeaderMap, Version};

/// Whether the header is there as often as it must be, and valid: once, or for HTTP/1.0 at most
/// once.
pub(super) fn is_right(version: Version, headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(HOST).iter();
    match (lines.next(), lines.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        (None, _) => version == Version::HTTP_10,
        (Some(_), Some(_)) => false,
    }
}

/// `uri-host [ ":" port ]` (RFC 9110, section 7.2). An `http` URI has a host (section 4.2.1).
fn is_host(value: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(value) else { return false };
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, rest))) if address.parse::<Ipv6Addr>().is_ok() => ("ip", rest),
        Some(_) => return false,
        None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
    };
    let is_port = |digits: &str| {
        digits.is_empty() || (digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok())
    };
    !host.is_empty()
        && host.bytes().all(is_name_byte)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// A byte of `reg-name`: `unreserved`, `sub-delims`, and `%` of an escape (RFC 3986, section
/// 3.2.2).
const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$'..=b',' | b';' | b'=')
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_a_port() {
        for right in [
            "a",
            "licenses.example.com",
            "127.0.0.1:3000",
            "[::1]",
            "[2001:db8::1]:80",
            "a:",
            "a_b:0",
            "a%20b",
            "a:65535",
        ] {
            assert!(is_host(right.as_bytes()), "{right}");
        }
        for wrong in [
            "", ":80", "a b", "a/b", "a?b", "a#b", "user@a", "a:b", "a:80:80", "a:65536", "a:-1", "a:+1", "::1",
            "[::1", "[a]", "[::1]80", "http://a", "a\\b", "é", "\"a\"", "<a>",
        ] {
            assert!(!is_host(wrong.as_bytes()), "{wrong}");
        }
        assert!(!is_host(b"\xff"));
    }

    #[test]
    fn a_host_is_sent_once() {
        let headers = |values: &[&'static str]| {
            let lines = values.iter().map(|value| (HOST, HeaderValue::from_static(value)));
            lines.collect::<Vec<_>>().into_iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
        };
        let is_right = |version, values: &[&'static str]| is_right(version, &headers(values));
        assert!(is_right(Version::HTTP_11, &["a"]) && is_right(Version::HTTP_10, &["a"]));
        assert!(!is_right(Version::HTTP_11, &[]) && is_right(Version::HTTP_10, &[]));
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert!(!is_right(version, &["a", "a"]) && !is_right(version, &["a", "b"]) && !is_right(version, &["a b"]));
        }
    }
}
