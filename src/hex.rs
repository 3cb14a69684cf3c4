//! Bytes as lower-case hexadecimal digits.

use alloc::string::String;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The digits of these bytes.
pub fn encode(bytes: &[u8]) -> String {
    prefixed("", bytes)
}

/// A prefix and the digits of these bytes.
pub(crate) fn prefixed(prefix: &str, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(prefix.len() + 2 * bytes.len());
    text.push_str(prefix);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The `N` bytes that [`encode`] writes as this text; `None` for any other text.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        for digit in digits {
            let value = DIGITS.iter().position(|each| each == digit)?;
            *byte = *byte << 4 | value as u8;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_as_they_were_written() {
        let bytes: [u8; 32] = core::array::from_fn(|at| (at * 9) as u8);
        let text = encode(&bytes);
        assert_eq!(decode(&text), Some(bytes));
        for refused in ["", &text[1..], &text[2..], &text.to_uppercase(), &text.replace('0', "+"), &"é".repeat(32)] {
            assert_eq!(decode::<32>(refused), None, "{refused}");
        }
    }
}
