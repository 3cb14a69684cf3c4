//! SHA-256 hashes as text: 64 hexadecimal digits in lower case.

use alloc::string::String;

/// A hash as 64 hexadecimal digits in lower case.
pub fn encode(hash: &[u8; 32]) -> String {
    hash.iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default())
        .collect()
}

/// The hash that [`encode`] writes so; `None` for any other text.
pub fn decode(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_as_it_was_written() {
        let hash = core::array::from_fn(|at| (at * 9) as u8);
        let text = encode(&hash);
        assert_eq!(decode(&text), Some(hash));
        for refused in ["", &text[1..], &text.to_uppercase(), &text.replace('0', "+")] {
            assert_eq!(decode(refused), None, "{refused}");
        }
    }
}
