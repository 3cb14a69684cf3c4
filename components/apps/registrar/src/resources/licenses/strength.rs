//! How hard an existing key is to guess. Keys that are generated here have 128 random bits; those
//! from elsewhere may have any number.
//!
//! Whoever guesses over the network gets a bounded number of answers a second, so some 50 bits are
//! enough to keep them out. They are not enough against whoever has the hash of the key.

/// Hundredths of a bit that a key must have at least, counted as if its symbols were random.
const LEAST: usize = 5_000;

/// Different letters and digits that a key must have at least.
const LEAST_DIFFERENT: usize = 4;

/// What is wrong with a key, as the end of a sentence about it.
pub(super) const WEAK: &str = "is easy to guess: it needs 10 letters and digits, or 16 digits, at least 4 of them \
                               different. To use it all the same, send `allowWeakKeys`.";

/// Why a text cannot be a key, whatever its vendor says; the end of a sentence about it.
pub(super) fn check(key: &str) -> Result<(), &'static str> {
    // White space is folded or compared where keys are read.
    if key.chars().any(|character| character.is_control() && !character.is_whitespace()) {
        Err("must not have control characters.")
    } else if !key.chars().any(char::is_alphanumeric) {
        Err("must have letters or digits.")
    } else {
        Ok(())
    }
}

/// Whether a key may be guessed over the network.
pub(super) fn is_weak(key: &str) -> bool {
    let symbols = key.chars().filter(|symbol| symbol.is_alphanumeric()).flat_map(char::to_lowercase);
    let symbols: Vec<char> = symbols.collect();
    let digits = symbols.iter().filter(|symbol| symbol.is_ascii_digit()).count();
    // Of one symbol: the logarithms of 10, of 26, and of 36.
    let bits = match digits {
        all if all == symbols.len() => 332,
        0 => 470,
        _ => 516,
    };
    let mut different = symbols.clone();
    different.sort_unstable();
    different.dedup();
    symbols.len() * bits < LEAST || different.len() < LEAST_DIFFERENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_or_monotonous_key_is_weak() {
        for weak in ["1", "0000", "123456", "abc-123", "000000000000000000", "aaaa-bbbb-cccc-aaaa", "123456789012345"] {
            assert!(is_weak(weak), "{weak}");
        }
        for strong in
            ["CR-0001-AAAA-0001", "1234567890123456", "abcdefghijk", "a1b2c3d4e5", "\u{e9}\u{e8}\u{ea}abcdefgh"]
        {
            assert!(!is_weak(strong), "{strong}");
        }
    }

    #[test]
    fn a_key_has_letters_or_digits_and_nothing_that_controls() {
        for refused in ["", " ", "\t", "--", "\u{202e}", "\u{200b}", "ab\0cd", "a\u{7f}"] {
            assert!(check(refused).is_err(), "{refused:?}");
        }
        assert!(check("a 1\n").is_ok());
    }
}
