//! Douglas Crockford's base32: digits and letters without I, L, O and U.

use alloc::{string::String, vec::Vec};

/// The symbol of each value.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 26 symbols have room for 130 bits; the two spare ones at the end are zero.
pub(crate) const SYMBOLS_OF_128_BITS: usize = 26;

/// Folds case and look-alikes: symbols that a reader may confuse become the same byte.
pub(crate) fn fold(byte: u8) -> u8 {
    match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    }
}

/// The value of a folded symbol, 0 to 31.
pub(crate) fn value(symbol: u8) -> Option<u8> {
    SYMBOLS.iter().position(|&each| each == symbol).map(|value| value as u8)
}

/// The symbol of a value's lower five bits.
pub(crate) fn symbol(value: u8) -> u8 {
    SYMBOLS[usize::from(value % 32)]
}

/// The values of the symbols of 128 bits, from the highest bit.
pub(crate) fn values(bits: [u8; 16]) -> [u8; SYMBOLS_OF_128_BITS] {
    let bits = u128::from_be_bytes(bits);
    core::array::from_fn(|index| match index {
        25 => (bits << 2) as u8 % 32,
        _ => (bits >> (123 - 5 * index)) as u8 % 32,
    })
}

/// The bytes as lower-case symbols, from the highest bit: 26 for 16 bytes, 32 for 20. Spare bits at
/// the end are zero.
pub fn encode(bytes: &[u8]) -> String {
    let symbol = |index: usize| {
        let byte = |at: usize| u16::from(bytes.get(at).copied().unwrap_or(0));
        let (at, shift) = (index * 5 / 8, index * 5 % 8);
        let pair = byte(at) << 8 | byte(at + 1);
        char::from(self::symbol((pair >> (11 - shift)) as u8)).to_ascii_lowercase()
    };
    (0..(bytes.len() * 8).div_ceil(5)).map(symbol).collect()
}

/// The bytes that [`encode`] writes as this text; `None` for any other text.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0u16, 0);
    for symbol in text.bytes() {
        bits = bits << 5 | u16::from(value(symbol.to_ascii_uppercase())?);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    // Refuses upper case, a superfluous symbol, and spare bits that are set.
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_as_they_were_written() {
        assert_eq!(encode(&[]), "");
        assert_eq!(encode(&[0xff]), "zw");
        assert_eq!(encode(b"foobar"), "csqpyrk1e8");
        let bytes: [u8; 20] = core::array::from_fn(|at| (at * 37) as u8);
        for length in 0..bytes.len() {
            assert_eq!(decode(&encode(&bytes[..length])).as_deref(), Some(&bytes[..length]));
        }
        for refused in ["ZW", "zz", "z", "zw0", "u", "é"] {
            assert_eq!(decode(refused), None, "{refused}");
        }
    }

    #[test]
    fn sixteen_bytes_are_the_symbols_of_an_id() {
        let bits: [u8; 16] = core::array::from_fn(|at| (at * 53 + 7) as u8);
        let symbols: String =
            values(bits).iter().map(|value| char::from(symbol(*value)).to_ascii_lowercase()).collect();
        assert_eq!(encode(&bits), symbols);
    }
}
