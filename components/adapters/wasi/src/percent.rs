//! Percent-encoding, RFC 3986 section 2.1.

/// Decodes a whole value. `None` if two hexadecimal digits do not follow each `%`.
pub(crate) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(&byte) = rest.next() {
        decoded.push(if byte == b'%' { digit(rest.next()?)? << 4 | digit(rest.next()?)? } else { byte });
    }
    Some(decoded)
}

fn digit(byte: &u8) -> Option<u8> {
    char::from(*byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn only_complete_escapes_are_decoded() {
        assert_eq!(decode(b"{\"a\":1%2C\"b\":\"100%25\"}").as_deref(), Some(b"{\"a\":1,\"b\":\"100%\"}".as_slice()));
        assert_eq!(decode(b"%2c%00").as_deref(), Some(b",\0".as_slice()));
        for broken in [b"%".as_slice(), b"a%2", b"%2x", b"%%2C"] {
            assert_eq!(decode(broken), None);
        }
    }
}
