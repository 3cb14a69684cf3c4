//! The texts by which a search finds a licence: its hint, its owner and the values of its metadata,
//! each from the beginning of every word. So `doe` and `example.com` find `Jane Doe` and
//! `jane@example.com`.

use crate::limits::{MAX_SEARCH_BYTES, MAX_SEARCH_WORDS};

/// How this version makes terms: `licenses.index_version`.
pub(crate) const VERSION: u32 = 1;

/// A text without case.
pub(crate) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// What is searched for: from its first word on, and no longer than a term.
pub(crate) fn search_term(text: &str) -> String {
    cut(fold(text).trim_start_matches(|character| !is_of_word(character)))
}

/// The terms of a text.
pub(crate) fn terms_of(text: &str) -> Vec<String> {
    let text = fold(text);
    let mut is_in_word = false;
    let mut is_start = |character| {
        let was_in_word = std::mem::replace(&mut is_in_word, is_of_word(character));
        is_in_word && !was_in_word
    };
    let starts = text.char_indices().filter(|(_, character)| is_start(*character));
    starts.take(MAX_SEARCH_WORDS).map(|(at, _)| cut(&text[at..])).collect()
}

/// Outside of ASCII every character counts as one of a word.
fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || !character.is_ascii()
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_SEARCH_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_from_the_beginning_of_each_word() {
        let expected =
            ["jane doe <jane@example.com>", "doe <jane@example.com>", "jane@example.com>", "example.com>", "com>"];
        assert_eq!(terms_of("Jane Doe <jane@Example.com>"), expected);
        assert_eq!(terms_of("100%_sure"), ["100%_sure", "sure"]);
        assert_eq!(terms_of(" \u{c4}ther-GmbH "), ["\u{e4}ther-gmbh ", "gmbh "]);
        assert!(terms_of("").is_empty() && terms_of("-- --").is_empty());
        assert_eq!(terms_of(&"word ".repeat(100)).len(), MAX_SEARCH_WORDS);
        assert!(terms_of(&"x".repeat(1_000)).iter().all(|term| term.len() == MAX_SEARCH_BYTES));
    }

    #[test]
    fn a_search_begins_with_its_first_word() {
        for (text, expected) in [("@Example.COM", "example.com"), ("Jane D", "jane d"), ("%", ""), ("J-1", "j-1")] {
            assert_eq!(search_term(text), expected);
        }
    }
}
