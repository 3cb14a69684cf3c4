//! Settings that are secrets, and what a secret must be.

use thiserror::Error;

/// Every setting that is a secret. None may be given on a command line, which other users of the
/// machine can read, and only the registrar may read them, but `origin_token`, which an edge sends
/// to its origin.
///
/// `token` is not the registrar's: the command line reads it from the same environment.
pub const SETTINGS: [&str; 4] = ["admin_token", "host_token", "origin_token", "token"];

/// Those of them that let callers in, and so must be hard to guess ([`check`]). The others were
/// made elsewhere.
pub const ACCEPTED: [&str; 2] = ["admin_token", "host_token"];

/// Bytes of a token that an operator sets: a shorter one could be guessed.
pub const MIN_BYTES: usize = 32;

/// Different bytes that a token must have: random text of 32 bytes has far more, in any alphabet of
/// eight or more.
const MIN_DIFFERENT: usize = 6;

/// Why a text is not taken for a secret. No message repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Weakness {
    /// It has fewer than [`MIN_BYTES`] bytes.
    #[error("must have at least {MIN_BYTES} bytes")]
    Short,
    /// It begins or ends with white space, or has a character that no header can carry.
    #[error("must be one line, without white space around it")]
    Blank,
    /// It repeats few characters.
    #[error("must be random; it repeats the same few characters")]
    Repeated,
}

/// Whether a setting is a secret.
pub fn is_secret(setting: &str) -> bool {
    SETTINGS.contains(&setting)
}

/// Checks that a text can be a secret.
///
/// ```
/// use countersign::secret::{Weakness, check};
///
/// assert_eq!(check("0123456789abcdef0123456789abcdef"), Ok(()));
/// assert_eq!(check("0123456789abcdef"), Err(Weakness::Short));
/// assert_eq!(check(&"x".repeat(32)), Err(Weakness::Repeated));
/// ```
///
/// # Errors
/// The first [`Weakness`] that applies.
pub fn check(text: &str) -> Result<(), Weakness> {
    if text.len() < MIN_BYTES {
        return Err(Weakness::Short);
    }
    if text.trim() != text || text.contains(char::is_control) {
        return Err(Weakness::Blank);
    }
    let mut seen = [false; 256];
    text.bytes().for_each(|byte| seen[usize::from(byte)] = true);
    if seen.into_iter().filter(|seen| *seen).count() < MIN_DIFFERENT { Err(Weakness::Repeated) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_and_varied_and_fits_a_header() {
        for (text, expected) in [
            ("", Err(Weakness::Short)),
            ("short", Err(Weakness::Short)),
            ("0123456789abcdef0123456789abcde", Err(Weakness::Short)),
            ("0123456789abcdef0123456789abcdef", Ok(())),
            ("a phrase of several words is as good", Ok(())),
            ("                                ", Err(Weakness::Blank)),
            ("\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t", Err(Weakness::Blank)),
            ("0123456789abcdef0123456789abcdef\n", Err(Weakness::Blank)),
            ("0123456789abcdef\u{85}0123456789abcdef", Err(Weakness::Blank)),
            ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", Err(Weakness::Repeated)),
            ("abababababababababababababababab", Err(Weakness::Repeated)),
            ("abcdeabcdeabcdeabcdeabcdeabcdeabcde", Err(Weakness::Repeated)),
        ] {
            assert_eq!(check(text), expected, "{text}");
        }
    }
}
