//! Douglas Crockford's base32: digits and upper-case letters without I, L, O and U.

/// The symbol of each value.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Symbols that 128 bits take: 26, which have room for 130; the two spare bits at the end are zero.
pub(crate) const SYMBOLS_OF_128_BITS: usize = 26;

/// Folds case and look-alikes: what a reader may take for one another becomes the same byte.
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

/// The symbol of a value; of more than five bits the lower five count.
pub(crate) fn symbol(value: u8) -> u8 {
    SYMBOLS[usize::from(value % 32)]
}

/// The values that 128 bits are written with, from the highest bit on.
pub(crate) fn values(bits: [u8; 16]) -> [u8; SYMBOLS_OF_128_BITS] {
    let bits = u128::from_be_bytes(bits);
    core::array::from_fn(|index| match index {
        25 => (bits << 2) as u8 % 32,
        _ => (bits >> (123 - 5 * index)) as u8 % 32,
    })
}
