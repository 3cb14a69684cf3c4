//! Paths and queries, percent-encoded.

/// A path below `/api/v1`. Segments may contain any characters.
pub(crate) fn path(segments: &[&str]) -> String {
    let mut path = "/api/v1".to_owned();
    for segment in segments {
        path.push('/');
        path.push_str(&percent_encode(segment));
    }
    path
}

/// A path with those parameters that have a value.
pub(crate) fn query(mut path: String, parameters: &[(&str, Option<String>)]) -> String {
    let mut separator = '?';
    for (name, value) in parameters {
        if let Some(value) = value {
            path.push(separator);
            path.push_str(name);
            path.push('=');
            path.push_str(&percent_encode(value));
            separator = '&';
        }
    }
    path
}

/// RFC 3986, section 2.1: every byte that is not unreserved (section 2.3).
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(2 * text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_stays_one_segment_or_one_value() {
        assert_eq!(path(&["licenses", "a/b?c", "*.x"]), "/api/v1/licenses/a%2Fb%3Fc/%2A.x");
        let parameters = [("owner", Some("jane&co@x".to_owned())), ("plan", None), ("limit", Some("7".to_owned()))];
        assert_eq!(query("/p".to_owned(), &parameters), "/p?owner=jane%26co%40x&limit=7");
    }
}
