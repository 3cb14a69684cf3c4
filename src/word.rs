//! Enums whose values are stable words, in JSON and on the command line.

use core::fmt;

/// The word is not one of the allowed ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    /// The words that are allowed.
    pub allowed: &'static [&'static str],
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be ")?;
        for (at, word) in self.allowed.iter().enumerate() {
            let before = if at == 0 {
                ""
            } else if at + 1 == self.allowed.len() {
                " or "
            } else {
                ", "
            };
            write!(f, "{before}`{word}`")?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownWord {}

/// Declares an enum of words: `as_str` returns the word, `parse` reads it, and `ALL` lists the
/// values in the order of their declaration.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All values, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value's word, as in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// The value with this word.
            ///
            /// # Errors
            ///
            /// [`UnknownWord`]($crate::word::UnknownWord), with the words that are allowed.
            pub fn parse(word: &str) -> Result<Self, $crate::word::UnknownWord> {
                let value = Self::ALL.iter().copied().find(|each| each.as_str() == word);
                value.ok_or($crate::word::UnknownWord { allowed: &[$($word),+] })
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        text_form!($name, $crate::word::UnknownWord, |word| word.as_str());
    };
}

#[cfg(test)]
mod tests {
    use crate::role::Role;
    use std::string::ToString;

    #[test]
    fn an_unknown_word_names_those_that_are_allowed() {
        assert!(Role::ALL.iter().all(|role| Role::parse(role.as_str()) == Ok(*role)));
        let error = Role::parse("Admin").map_err(|error| error.to_string());
        assert_eq!(error, Err("must be `edge`, `reader`, `support`, `issuer` or `admin`".into()));
    }
}
