//! Texts as people type and paste them: with white space, line ends and characters that cannot be
//! seen around them, and in other widths.

/// What a character of a generated key is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A letter or digit of ASCII, or its full-width form.
    Symbol(u8),
    /// A letter or digit that no generated key has.
    Foreign,
    /// White space, a dash, or other punctuation.
    Separator,
    /// A character that cannot be seen.
    Nothing,
}

impl Typed {
    pub(crate) fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => Self::Symbol(c as u8),
            // U+FF01 to U+FF5E are U+0021 to U+007E in full width.
            '\u{ff01}'..='\u{ff5e}' => Self::of(char::from((c as u32 - 0xff01) as u8 + b'!')),
            // The long vowel mark, which Japanese keyboards have in the hyphen's place.
            '\u{30fc}' | '\u{ff70}' => Self::Separator,
            _ if c.is_whitespace() => Self::Separator,
            _ if is_unseen(c) => Self::Nothing,
            _ if c.is_alphanumeric() => Self::Foreign,
            _ => Self::Separator,
        }
    }
}

/// The text without white space and characters that cannot be seen at its ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_unseen(c))
}

/// Control characters, and what Unicode lets a renderer leave out (the property
/// `Default_Ignorable_Code_Point`): zero-width and bidirectional marks, soft hyphens, variation
/// selectors, fillers. Also interlinear annotations and the blank of braille.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
