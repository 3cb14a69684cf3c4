//! Licence keys: generating, reading and hashing them.
//!
//! A generated key is a prefix and six groups of five symbols, `ACME-9T2MX-…`: 128 random bits as
//! 26 symbols of Crockford's base32, then four check symbols over everything before them. Its
//! canonical form is in upper case, with the hyphens as printed and look-alikes folded, in the
//! prefix too: O is 0, and I and L are 1. A key of any other shape is an existing key and is used
//! exactly as given.
//!
//! Only the SHA-256 hash of a key is stored, and keys are looked up by it. Salts and slow hashes
//! protect secrets that can be guessed; 128 random bits cannot. A vendor who imports existing keys
//! answers for their randomness. Nothing is compared in constant time either: the duration of a
//! look-up reveals at most something about hashes, and no key follows from a hash.

use crate::{
    crockford::{self, SYMBOLS_OF_128_BITS},
    hash::sha256,
    hex,
    limits::{HINT_CHARACTERS, MAX_KEY_BYTES},
    name::Product,
    store_keys,
};
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::fmt;

const CHECK_SYMBOLS: usize = 4;
const SYMBOLS: usize = SYMBOLS_OF_128_BITS + CHECK_SYMBOLS;
const GROUP: usize = 5;
const PREFIX_CHARACTERS: core::ops::RangeInclusive<usize> = 2..=8;

/// The beginning of a vendor's keys: 2 to 8 characters from `[A-Z0-9]`, the first a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

/// The text is not a valid [`Prefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {} to {} characters from A-Z and 0-9, the first a letter", PREFIX_CHARACTERS.start(), PREFIX_CHARACTERS.end())]
pub struct PrefixError;

/// A generated key in its printed form. Only `Display` shows it; `Debug` hides it.
pub struct Key(String);

/// The SHA-256 hash of a key, under which its licence is stored. It is not a secret: no key follows
/// from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

/// Why a text cannot be looked up as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It has more than 512 bytes.
    #[error("is longer than {MAX_KEY_BYTES} bytes")]
    TooLong,
    /// It has the shape of a generated key, but its checksum is wrong: a typing error.
    #[error("has a typing error: its checksum is wrong")]
    Malformed,
}

/// Reads a key as its holder typed it, and hashes it.
///
/// In a generated key, case, spaces, hyphens and look-alikes do not matter. Any other text is an
/// existing key and is hashed exactly as given. Code that stores a licence reads the key with this
/// function too, so that both sides agree.
///
/// # Errors
///
/// [`ReadError::Empty`] or [`ReadError::TooLong`] if the text cannot be a key, and
/// [`ReadError::Malformed`] if it has the printed shape of a generated key and a wrong checksum.
pub fn read(given: &str) -> Result<KeyHash, ReadError> {
    if given.is_empty() {
        return Err(ReadError::Empty);
    }
    if given.len() > MAX_KEY_BYTES {
        return Err(ReadError::TooLong);
    }
    if let Some(canonical) = canonical(given) {
        return Ok(KeyHash::of(&canonical));
    }
    if has_printed_shape(given) { Err(ReadError::Malformed) } else { Ok(KeyHash::of(given)) }
}

/// The last four characters of a key, for display; `None` if they are a quarter or more of the key.
///
/// In a generated key they are its check symbols, which leave 108 of its 128 bits unknown.
pub fn hint(given: &str) -> Option<Hint> {
    let characters: Vec<char> = given.trim().chars().collect();
    if characters.len() <= 4 * HINT_CHARACTERS || characters.iter().any(|c| c.is_control()) {
        return None;
    }
    Some(Hint(characters[characters.len() - HINT_CHARACTERS..].iter().collect()))
}

impl Prefix {
    /// Takes the text as it is, if it is a prefix.
    ///
    /// # Errors
    ///
    /// [`PrefixError`] if the text is not 2 to 8 characters from `[A-Z0-9]`, the first a letter.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let well_formed = PREFIX_CHARACTERS.contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if well_formed { Ok(Self(text.to_owned())) } else { Err(PrefixError) }
    }

    /// The default prefix of a product's keys: `ACME` for `acme`, `ACMEEDIT` for `acme-editor`, and
    /// `KEY` if the product's name does not give two characters.
    pub fn of_product(product: &Product) -> Self {
        let name = product.as_str().trim_start_matches(|c: char| !c.is_ascii_lowercase());
        let prefix = name.chars().filter(char::is_ascii_alphanumeric).take(*PREFIX_CHARACTERS.end());
        let prefix: String = prefix.map(|c| c.to_ascii_uppercase()).collect();
        Self::parse(&prefix).unwrap_or_else(|_| Self("KEY".to_owned()))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Key {
    /// The key for 16 bytes from a cryptographically secure random source.
    pub fn generate(prefix: &Prefix, random: [u8; 16]) -> Self {
        let mut key = prefix.0.clone();
        let values = crockford::values(random);
        let check = checksum(key.bytes().map(crockford::fold), &values);
        for (index, value) in values.into_iter().chain(check).enumerate() {
            if index % GROUP == 0 {
                key.push('-');
            }
            key.push(char::from(crockford::symbol(value)));
        }
        Self(key)
    }

    /// The hash that [`read`] returns for this key.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&fold(&self.0))
    }

    /// The last four characters, for display.
    pub fn hint(&self) -> Hint {
        Hint(self.0[self.0.len() - HINT_CHARACTERS..].to_owned())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

/// The text is not a valid [`KeyHash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits")]
pub struct KeyHashError;

impl KeyHash {
    fn of(canonical: &str) -> Self {
        Self(sha256([canonical.as_bytes()]))
    }

    /// Reads the text that [`KeyHash::to_hex`] writes, in either case.
    ///
    /// # Errors
    ///
    /// [`KeyHashError`] if the text is not 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, KeyHashError> {
        hex::decode(&text.to_ascii_lowercase()).map(Self).ok_or(KeyHashError)
    }

    /// The hash as bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash as 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(&self.0)
    }

    /// The licence's key in the store: `license:` and [`KeyHash::to_hex`].
    pub fn store_key(&self) -> String {
        hex::prefixed(store_keys::LICENSE, &self.0)
    }
}

impl core::str::FromStr for KeyHash {
    type Err = KeyHashError;

    fn from_str(text: &str) -> Result<Self, KeyHashError> {
        Self::parse(text)
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({})", self.to_hex())
    }
}

/// The last characters of a key, for display: 1 to 4, none a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint(String);

/// The text is not a valid [`Hint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {HINT_CHARACTERS} characters, none a control character")]
pub struct HintError;

impl Hint {
    /// Takes the text as it is, if it is a hint.
    ///
    /// # Errors
    ///
    /// [`HintError`] if the text is empty, has more than 4 characters or a control character.
    pub fn parse(text: &str) -> Result<Self, HintError> {
        let well_formed = (1..=HINT_CHARACTERS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(text.to_owned())) } else { Err(HintError) }
    }

    /// The hint as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_form!(Prefix, PrefixError, |prefix| &prefix.0);
text_form!(Hint, HintError, |hint| &hint.0);

/// The canonical form of a generated key, however it is spaced; `None` for any other text.
fn canonical(given: &str) -> Option<String> {
    let mut symbols = String::with_capacity(given.len());
    for c in given.chars().filter(|&c| !is_separator(c)) {
        if !c.is_ascii_alphanumeric() {
            return None;
        }
        symbols.push(char::from(crockford::fold(c as u8)));
    }
    let (prefix, body) = symbols.split_at_checked(symbols.len().checked_sub(SYMBOLS)?)?;
    if !PREFIX_CHARACTERS.contains(&prefix.len()) || !may_begin_prefix(prefix) {
        return None;
    }
    let values = body.bytes().map(crockford::value).collect::<Option<Vec<u8>>>()?;
    let (random, check) = values.split_at(SYMBOLS_OF_128_BITS);
    let spare_bits = random[SYMBOLS_OF_128_BITS - 1] % 4;
    if spare_bits != 0 || checksum(prefix.bytes(), random) != check {
        return None;
    }
    let mut canonical = prefix.to_owned();
    for group in body.as_bytes().chunks(GROUP) {
        canonical.push('-');
        canonical.extend(group.iter().map(|&symbol| char::from(symbol)));
    }
    Some(canonical)
}

/// Whether the text looks like a printed key: a prefix and six groups of five symbols, with one
/// separator between each.
fn has_printed_shape(given: &str) -> bool {
    let mut groups = given.trim().split(is_separator);
    let is_prefix = groups.next().is_some_and(|prefix| {
        PREFIX_CHARACTERS.contains(&prefix.len())
            && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && may_begin_prefix(&fold(prefix))
    });
    let mut count = 0;
    let are_groups = groups.all(|group| {
        count += 1;
        group.len() == GROUP && group.bytes().all(|byte| crockford::value(crockford::fold(byte)).is_some())
    });
    is_prefix && are_groups && count == SYMBOLS / GROUP
}

fn fold(text: &str) -> String {
    text.bytes().map(|byte| char::from(crockford::fold(byte))).collect()
}

/// Whether a folded prefix can have begun with a letter: 0 and 1 can have been O, I or L.
fn may_begin_prefix(folded: &str) -> bool {
    !folded.starts_with(|c| matches!(c, '2'..='9'))
}

/// White space, hyphens, and the dashes that word processors and mobile keyboards replace them
/// with.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The four check symbols of a folded prefix and the values that follow it.
///
/// They are the remainder of a polynomial over GF(32) divided by x⁴ + x³ + 3x² + x + 1, which is
/// irreducible and whose roots have order 1025: the ovoid code [1025, 1021, 4]. It detects any
/// three wrong symbols, and any error within four symbols in a row, so every substitution and every
/// swap of neighbours. It is not a cryptographic check: anyone can compute it.
fn checksum(prefix: impl Iterator<Item = u8>, values: &[u8]) -> [u8; CHECK_SYMBOLS] {
    // Starting from 1 makes leading zeros count.
    let mut remainder = [0, 0, 0, 1];
    // A prefix may contain U, which is not a symbol. So each of its characters counts as two
    // values, the first of which is 1 for a U and 0 for any other.
    for character in prefix {
        let value = crockford::value(character);
        divide(&mut remainder, u8::from(value.is_none()));
        divide(&mut remainder, value.unwrap_or(0));
    }
    for &value in values.iter().chain(&[0; CHECK_SYMBOLS]) {
        divide(&mut remainder, value);
    }
    remainder
}

/// One step of the division, with the next coefficient. The highest power comes first.
fn divide(remainder: &mut [u8; CHECK_SYMBOLS], next: u8) {
    let [top, a, b, c] = *remainder;
    // In GF(32), modulo x⁵ + x² + 1, addition is exclusive or, and three times a value is the value
    // plus its double.
    let doubled = if top & 16 == 0 { top << 1 } else { (top << 1) ^ 0b10_0101 };
    *remainder = [a ^ top, b ^ doubled ^ top, c ^ top, next ^ top];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    /// The code is linear, so errors go unnoticed only if their syndromes add up to zero. No three
    /// do if the syndromes of single errors differ from each other, from zero, and from every sum
    /// of two others.
    #[test]
    fn the_checksum_detects_any_three_wrong_symbols() {
        let syndromes = |at: usize| {
            (1..32).map(move |error| {
                let mut remainder = [0; CHECK_SYMBOLS];
                divide(&mut remainder, error);
                (0..at).for_each(|_| divide(&mut remainder, 0));
                u32::from_be_bytes(remainder)
            })
        };
        // The longest prefix counts as sixteen symbols.
        let length = 2 * PREFIX_CHARACTERS.end() + SYMBOLS;
        let single: std::collections::HashSet<u32> = (0..length).flat_map(syndromes).collect();
        assert_eq!(single.len(), 31 * length);
        assert!(!single.contains(&0));
        for first in 0..length {
            for second in first + 1..length {
                for (a, b) in syndromes(first).flat_map(|a| syndromes(second).map(move |b| (a, b))) {
                    assert!(a != b && !single.contains(&(a ^ b)), "{first} {second}");
                }
            }
        }
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = KeyHash::of("an existing key");
        assert_eq!(KeyHash::parse(&hash.to_hex()), Ok(hash));
        assert_eq!(KeyHash::parse(&hash.to_hex().to_uppercase()), Ok(hash));
        for refused in ["", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(KeyHash::parse(refused), Err(KeyHashError), "{refused}");
        }
    }

    #[test]
    fn a_product_gives_its_keys_a_prefix() {
        let cases = [
            ("acme", "ACME"),
            ("acme-editor", "ACMEEDIT"),
            ("3d-cad", "DCAD"),
            ("x2", "X2"),
            ("x", "KEY"),
            ("42", "KEY"),
        ];
        for (product, prefix) in cases {
            let product = Product::parse(product).unwrap();
            assert_eq!(Prefix::of_product(&product).to_string(), prefix);
        }
    }
}
