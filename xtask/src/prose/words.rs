//! The word list: phrases that read like a translation, each with what to write in its place.

use super::{Finding, text::Text};

struct Banned {
    phrase: &'static str,
    instead: &'static str,
    /// Idioms that contain the phrase.
    except: &'static [&'static str],
}

const fn banned(phrase: &'static str, instead: &'static str) -> Banned {
    Banned { phrase, instead, except: &[] }
}

const BANNED: [Banned; 30] = [
    banned("what has become of", "the (usage) state of"),
    banned("what became of", "the outcome of"),
    banned("who asks", "the caller"),
    banned("whoever asks", "the caller"),
    Banned {
        phrase: "is none",
        instead: "is not a valid X; must be X",
        except: &["there is none", "limits is none", "which is none"],
    },
    Banned {
        phrase: "is no",
        instead: "is not a valid X; must be X",
        except: &["there is no", "is no longer", "is no more", "is no less", "is no later", "is no earlier"],
    },
    Banned { phrase: "are none", instead: "are not valid", except: &["there are none"] },
    banned("so many", "n"),
    banned("stands", "is, applies, exists"),
    banned("is told", "gets, returns"),
    banned("are told", "get, return"),
    banned("comes again", "is retried"),
    banned("come again", "are retried"),
    banned("came again", "was retried"),
    banned("gives back", "releases, returns"),
    banned("give back", "release, return"),
    banned("given back", "released, returned"),
    banned("takes in", "imports"),
    banned("taken in", "imported"),
    banned("brought key", "existing key"),
    banned("it is over", "it has expired, it has ended"),
    banned("is over.", "has expired, has ended"),
    banned("is over,", "has expired, has ended"),
    banned("is over;", "has expired, has ended"),
    banned("is over:", "has expired, has ended"),
    Banned { phrase: "that is over", instead: "that has expired", except: &["that is over a"] },
    banned("drawn", "generated"),
    banned("made/kept", "created/stored/cached"),
    banned("was faster", "conflict, retry with back-off"),
    banned("were faster", "conflict, retry with back-off"),
];

/// Finds banned phrases, also where a line break divides one. An underscore in the name of a
/// function counts as a space: a test's name is a sentence.
pub(super) fn check(text: &Text) -> Vec<Finding> {
    let mut joined = String::new();
    let mut starts = Vec::new();
    for line in &text.lines {
        starts.push((joined.len(), line.number));
        let words = line.words.to_lowercase();
        if words.contains("fn ") {
            joined.push_str(&words.replace('_', " "));
        } else {
            joined.push_str(&words);
        }
        joined.push(' ');
    }
    let line_of =
        |at: usize| starts[..starts.partition_point(|(start, _)| *start <= at)].last().map_or(1, |(_, number)| *number);
    let mut findings = Vec::new();
    for Banned { phrase, instead, except } in &BANNED {
        for (at, _) in joined.match_indices(phrase) {
            if is_whole(&joined, at, phrase) && !except.iter().any(|except| covers(&joined, at, phrase, except)) {
                let problem = format!("\"{phrase}\": write {instead}");
                findings.push(Finding { line: line_of(at), problem });
            }
        }
    }
    findings
}

/// Whether the phrase begins and ends at the boundary of a word.
fn is_whole(text: &str, at: usize, phrase: &str) -> bool {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let before = text[..at].chars().next_back();
    let after = text[at + phrase.len()..].chars().next();
    before.is_none_or(|char| !is_word(char)) && !(phrase.ends_with(is_word) && after.is_some_and(is_word))
}

/// Whether the phrase found `at` is part of the idiom.
fn covers(text: &str, at: usize, phrase: &str, idiom: &str) -> bool {
    idiom.match_indices(phrase).any(|(offset, _)| {
        at.checked_sub(offset).and_then(|start| text.get(start..)).is_some_and(|rest| rest.starts_with(idiom))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str, content: &str) -> Vec<usize> {
        check(&Text::read(file, content).unwrap()).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn phrases_are_found_in_comments_messages_and_names() {
        assert_eq!(lines("a.rs", "// The caller.\n// Who asks.\n"), [2]);
        assert_eq!(lines("a.rs", "fn f() -> &str {\n    \"the key is none\"\n}\n"), [2]);
        assert_eq!(lines("a.rs", "fn the_caller_is_told_why() {}\n"), [1]);
        assert_eq!(lines("a.json", "{\"detail\": \"So many as fit.\"}"), [1]);
    }

    #[test]
    fn a_phrase_is_found_across_lines() {
        assert_eq!(lines("a.rs", "/// What has\n/// become of it.\n"), [1]);
        assert_eq!(lines("a.rs", "    \"this is \\\n     no key\"\n"), [1]);
    }

    #[test]
    fn idioms_and_parts_of_words_pass() {
        assert_eq!(lines("a.md", "There is no key. It is no longer withdrawn. He understands.\n"), [0; 0]);
        assert_eq!(lines("a.rs", "if key.is_none() { f(is_over) }\n"), [0; 0]);
    }
}
