//! Licence keys: generating, reading and hashing them.
//!
//! A generated key is a prefix and six groups of five symbols, `ACME-9T2MX-…`: 128 random bits as
//! 26 symbols of Crockford's base32, then four check symbols over everything before them. Its
//! canonical form is in upper case, with the hyphens as printed and look-alikes folded, in the
//! prefix too: O is 0, and I and L are 1. Only its letters and digits count, so it may be pasted
//! with anything else around and inside. A key of any other shape is an existing key and is used
//! exactly as given, but for white space and characters that cannot be seen at its ends.
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
    number::Grouped,
    store_keys,
    typed::{Typed, trim},
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
    /// It is empty, or nothing of it can be seen.
    #[error("is empty")]
    Empty,
    /// It has more than 8,192 bytes.
    #[error("is longer than {} bytes", Grouped(MAX_KEY_BYTES as u64))]
    TooLong,
    /// It has the shape of a generated key, but its checksum is wrong: a typing error.
    #[error("has a typing error: its checksum is wrong")]
    Malformed,
}

/// Reads a key as its holder typed it, and hashes it. Code that stores a licence reads the key with
/// this function too, so that both sides agree.
///
/// # Errors
///
/// Those of [`Reading::of`].
pub fn read(given: &str) -> Result<KeyHash, ReadError> {
    Reading::of(given).map(|reading| reading.hash)
}

/// A key as its holder typed it, and how to look it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The hash under which its licence is stored.
    hash: KeyHash,
    /// The hash of an existing key with the white space at its ends. Earlier versions stored
    /// licences under it.
    untrimmed: Option<KeyHash>,
    looks_mistyped: bool,
}

impl Reading {
    /// Reads a key as its holder typed it.
    ///
    /// In a generated key, case, look-alikes, full-width forms, and all that is neither a letter
    /// nor a digit do not matter. Any other text is an existing key; white space and characters
    /// that cannot be seen do not matter at its ends.
    ///
    /// # Errors
    ///
    /// [`ReadError::Empty`] or [`ReadError::TooLong`] if the text cannot be a key, and
    /// [`ReadError::Malformed`] if it has the printed shape of a generated key and a wrong
    /// checksum.
    pub fn of(given: &str) -> Result<Self, ReadError> {
        let text = trim(given);
        if text.is_empty() {
            return Err(ReadError::Empty);
        }
        if text.len() > MAX_KEY_BYTES {
            return Err(ReadError::TooLong);
        }
        if let Some(key) = Canonical::of(text) {
            return Ok(Self { hash: KeyHash::of(key.as_bytes()), untrimmed: None, looks_mistyped: false });
        }
        if has_printed_shape(text) {
            return Err(ReadError::Malformed);
        }
        Ok(Self {
            hash: KeyHash::of(text.as_bytes()),
            untrimmed: (text.len() < given.len()).then(|| KeyHash::of(given.as_bytes())),
            // A label may be pasted with it: `Key: ACME-…`.
            looks_mistyped: text.rsplit([':', '=']).next().is_some_and(resembles_printed_shape),
        })
    }

    /// The hashes under which to look its licence up, in this order. All but a few keys have one.
    pub fn hashes(&self) -> impl Iterator<Item = &KeyHash> {
        [&self.hash].into_iter().chain(&self.untrimmed)
    }

    /// Whether the text is probably a generated key with a typing error, if no licence has it.
    pub const fn looks_mistyped(&self) -> bool {
        self.looks_mistyped
    }
}

/// The last four characters of a key, for display; `None` if they are a quarter or more of the key.
///
/// In a generated key they are its check symbols, which leave 108 of its 128 bits unknown.
pub fn hint(given: &str) -> Option<Hint> {
    let text = trim(given);
    if let Some(key) = Canonical::of(text) {
        return Some(Hint::last_of(key.as_bytes().iter().map(|symbol| char::from(*symbol)).collect()));
    }
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= 4 * HINT_CHARACTERS || characters.iter().any(|c| c.is_control()) {
        return None;
    }
    Some(Hint::last_of(characters))
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
        KeyHash::of(fold(&self.0).as_bytes())
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
    fn of(canonical: &[u8]) -> Self {
        Self(sha256([canonical]))
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

    fn last_of(characters: Vec<char>) -> Self {
        Self(characters[characters.len().saturating_sub(HINT_CHARACTERS)..].iter().collect())
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

/// The most symbols of a generated key: a prefix and those after it.
const MAX_SYMBOLS: usize = *PREFIX_CHARACTERS.end() + SYMBOLS;

/// The canonical form of a generated key: at most [`MAX_SYMBOLS`], and a hyphen before each group.
struct Canonical {
    text: [u8; MAX_SYMBOLS + SYMBOLS / GROUP],
    length: usize,
}

impl Canonical {
    /// The canonical form of a generated key, whatever else is around and inside; `None` for any
    /// other text. It allocates nothing, as every validation begins with it.
    fn of(given: &str) -> Option<Self> {
        let (mut symbols, mut count) = ([0; MAX_SYMBOLS], 0);
        for c in given.chars() {
            match Typed::of(c) {
                Typed::Symbol(symbol) => *symbols.get_mut(count)? = crockford::fold(symbol),
                Typed::Foreign => return None,
                Typed::Separator | Typed::Nothing => continue,
            }
            count += 1;
        }
        let (prefix, body) = symbols[..count].split_at_checked(count.checked_sub(SYMBOLS)?)?;
        if !PREFIX_CHARACTERS.contains(&prefix.len()) || !may_begin_prefix(prefix[0]) {
            return None;
        }
        let mut values = [0; SYMBOLS];
        for (value, symbol) in values.iter_mut().zip(body) {
            *value = crockford::value(*symbol)?;
        }
        let (random, check) = values.split_at(SYMBOLS_OF_128_BITS);
        let spare_bits = random[SYMBOLS_OF_128_BITS - 1] % 4;
        if spare_bits != 0 || checksum(prefix.iter().copied(), random) != check {
            return None;
        }
        let (mut text, mut length) = ([b'-'; MAX_SYMBOLS + SYMBOLS / GROUP], prefix.len());
        text[..length].copy_from_slice(prefix);
        for group in body.chunks(GROUP) {
            text[length + 1..][..GROUP].copy_from_slice(group);
            length += 1 + GROUP;
        }
        Some(Self { text, length })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

/// Whether the text looks like a printed key: a prefix and six groups of five symbols, with one
/// space or dash between each. Such a text is never taken for an existing key.
fn has_printed_shape(given: &str) -> bool {
    let mut groups = given.split(is_separator);
    let is_prefix = groups.next().is_some_and(|prefix| {
        PREFIX_CHARACTERS.contains(&prefix.len())
            && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && prefix.bytes().next().is_some_and(|first| may_begin_prefix(crockford::fold(first)))
    });
    let mut count = 0;
    let are_groups = groups.all(|group| {
        count += 1;
        group.len() == GROUP && group.bytes().all(|byte| crockford::value(crockford::fold(byte)).is_some())
    });
    is_prefix && are_groups && count == SYMBOLS / GROUP
}

/// Whether the text could be a printed key in which a symbol is lost, doubled or foreign, or the
/// separators are others: a prefix and six groups of about five. It could also be an existing key.
fn resembles_printed_shape(given: &str) -> bool {
    let mut groups = [0_usize; 1 + SYMBOLS / GROUP];
    let (mut at, mut is_open) = (0, false);
    for c in given.chars() {
        match Typed::of(c) {
            Typed::Nothing => {}
            Typed::Separator if !is_open => {}
            Typed::Separator => (at, is_open) = (at + 1, false),
            Typed::Symbol(_) | Typed::Foreign => {
                let Some(group) = groups.get_mut(at) else { return false };
                (*group, is_open) = (*group + 1, true);
            }
        }
    }
    let [prefix, groups @ ..] = groups;
    PREFIX_CHARACTERS.contains(&prefix) && groups.iter().all(|symbols| (GROUP - 1..=GROUP + 1).contains(symbols))
}

fn fold(text: &str) -> String {
    text.bytes().map(|byte| char::from(crockford::fold(byte))).collect()
}

/// Whether the first symbol of a folded prefix can have been a letter: 0 and 1 can have been O, I
/// or L.
fn may_begin_prefix(folded: u8) -> bool {
    !matches!(folded, b'2'..=b'9')
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
        let hash = KeyHash::of(b"an existing key");
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
