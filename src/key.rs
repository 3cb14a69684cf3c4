//! Licence keys: making, reading and hashing them.
//!
//! A key of ours is a prefix and six groups of five symbols, `ACME-9T2MX-…`: 128 random bits as 26 symbols of
//! Crockford's base32, and four check symbols over all of it, prefix included. In its canonical form it is upper case,
//! hyphens stand as printed, and look-alikes are folded, in the prefix too: O is 0, and I and L are 1. Keys of any
//! other shape come from elsewhere and are taken exactly as given.
//!
//! A key is stored and looked up by its SHA-256 hash alone. A salt or a slow hash would add nothing: they protect
//! secrets that can be guessed, and 128 random bits cannot (a vendor who brings keys of another shape answers for their
//! randomness). Nor is there a comparison to make in constant time: the hash is looked up, and how long a look-up takes
//! tells at most something about hashes, from which no key follows.

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

/// What a vendor's keys begin with: 2 to 8 characters from `[A-Z0-9]`, the first a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

/// The text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {} to {} characters from A-Z and 0-9, the first a letter", PREFIX_CHARACTERS.start(), PREFIX_CHARACTERS.end())]
pub struct PrefixError;

/// A key in its printed form. `Display` is the only way to see it; `Debug` hides it.
pub struct Key(String);

/// The SHA-256 hash of a key, under which its licence is stored. No secret: no key follows from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

/// Why a text cannot be looked up as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It has no character at all.
    #[error("is empty")]
    Empty,
    /// It has more than 512 bytes.
    #[error("is longer than {MAX_KEY_BYTES} bytes")]
    TooLong,
    /// It has the shape of our keys and fails its checksum: a typing error.
    #[error("has a typing error: its checksum is wrong")]
    Malformed,
}

/// Reads a key as its holder typed it.
///
/// Case, spaces, hyphens and look-alikes do not matter in a key of ours. Any other text is a key from elsewhere, hashed
/// exactly as given; only one with the printed shape of ours and a wrong checksum is [`ReadError::Malformed`]. Whoever
/// stores a licence reads its key with this function too, so that both sides agree.
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

/// The last four characters of a key, for display; `None` where these would be a quarter or more of the key.
///
/// Of a key of ours these are its check symbols, which leave 108 of its 128 bits unknown.
pub fn hint(given: &str) -> Option<Hint> {
    let characters: Vec<char> = given.trim().chars().collect();
    if characters.len() <= 4 * HINT_CHARACTERS || characters.iter().any(|c| c.is_control()) {
        return None;
    }
    Some(Hint(characters[characters.len() - HINT_CHARACTERS..].iter().collect()))
}

impl Prefix {
    /// Takes the text as it is, if it is a prefix.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let well_formed = PREFIX_CHARACTERS.contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if well_formed { Ok(Self(text.to_owned())) } else { Err(PrefixError) }
    }

    /// What a product's keys begin with where the vendor chose nothing: `ACME` of `acme`, `ACMEEDIT` of `acme-editor`, and `KEY` of a
    /// product whose name has too little for it.
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
    /// The key for 16 bytes from a cryptographic random source.
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

    /// What [`read`] gives for this key.
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

/// The text is no hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits")]
pub struct KeyHashError;

impl KeyHash {
    fn of(canonical: &str) -> Self {
        Self(sha256([canonical.as_bytes()]))
    }

    /// Reads [`KeyHash::to_hex`], in either case.
    pub fn parse(text: &str) -> Result<Self, KeyHashError> {
        hex::decode(&text.to_ascii_lowercase()).map(Self).ok_or(KeyHashError)
    }

    /// The hash itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(&self.0)
    }

    /// The key in the store under which the licence is: `license:` and [`KeyHash::to_hex`].
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

/// The last characters of a key, for display: 4 at most, none a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint(String);

/// The text is no hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {HINT_CHARACTERS} characters, none a control character")]
pub struct HintError;

impl Hint {
    /// Takes the text as it is, if it is a hint.
    pub fn parse(text: &str) -> Result<Self, HintError> {
        let well_formed = (1..=HINT_CHARACTERS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if well_formed { Ok(Self(text.to_owned())) } else { Err(HintError) }
    }

    /// The characters.
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

/// The canonical form of what reads as a key of ours, however it is spaced; `None` for anything else.
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

/// Whether the text stands as our keys are printed: a prefix and six groups of five symbols, one separator between
/// each.
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

/// Whether a folded prefix may have begun with a letter: 0 and 1 may have been O, I or L.
fn may_begin_prefix(folded: &str) -> bool {
    !folded.starts_with(|c| matches!(c, '2'..='9'))
}

/// White space and hyphens, with those that word processors and mobile keyboards put in their place.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The four check symbols of a folded prefix and the values that follow it.
///
/// They are the remainder of a polynomial over GF(32) divided by x⁴ + x³ + 3x² + x + 1, which is irreducible and whose
/// roots have order 1025: the ovoid code [1025, 1021, 4]. It tells any three wrong symbols, and any error confined to
/// four symbols in a row: every single substitution and every transposition of neighbours among them. It is no
/// cryptographic check; anyone can compute it.
fn checksum(prefix: impl Iterator<Item = u8>, values: &[u8]) -> [u8; CHECK_SYMBOLS] {
    // Beginning with 1 makes leading zeros count.
    let mut remainder = [0, 0, 0, 1];
    // A prefix may hold U, which is no symbol: each of its characters counts as two, of which the first is nearly
    // always 0.
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

/// One step of the division: takes in the next coefficient. Highest power first.
fn divide(remainder: &mut [u8; CHECK_SYMBOLS], next: u8) {
    let [top, a, b, c] = *remainder;
    // In GF(32), modulo x⁵ + x² + 1, adding is exclusive or, and 3 times a value is its double and itself.
    let doubled = if top & 16 == 0 { top << 1 } else { (top << 1) ^ 0b10_0101 };
    *remainder = [a ^ top, b ^ doubled ^ top, c ^ top, next ^ top];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    /// The code is linear, so errors go unnoticed just where their syndromes add up to nothing: those of one or two
    /// symbols must differ from each other's and from those of two.
    #[test]
    fn the_checksum_tells_any_three_wrong_symbols() {
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
        let hash = KeyHash::of("a key from elsewhere");
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
