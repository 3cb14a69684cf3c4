//! The lines of a file: which are prose, and their words without comment markers.

/// A file that people read.
pub(super) struct Text<'a> {
    /// Its path from the repository's root.
    pub(super) file: &'a str,
    pub(super) lines: Vec<Line<'a>>,
}

pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: usize,
    pub(super) whole: &'a str,
    /// The line without indentation, comment marker and the backslash that continues a string.
    pub(super) words: &'a str,
    /// A line of Markdown or a comment on a line of its own; not code in either, nor a table.
    pub(super) is_prose: bool,
}

impl<'a> Text<'a> {
    /// Reads a file of a kind that has prose; `None` for other kinds.
    pub(super) fn read(file: &'a str, content: &'a str) -> Option<Self> {
        let extension = file.rsplit(['.', '/']).next().unwrap_or_default();
        // None for Markdown, where each line is prose.
        let marker = match extension {
            "md" => None,
            "rs" | "wit" | "js" | "mjs" | "ts" => Some("//"),
            "toml" | "py" | "yml" | "yaml" | "capnp" | "sh" | "run" | "gitignore" => Some("#"),
            "sql" => Some("--"),
            "wat" => Some(";;"),
            "json" => Some("//"),
            _ => return None,
        };
        let mut in_code = false;
        let mut lines = Vec::new();
        for (index, whole) in content.lines().enumerate() {
            let trimmed = whole.trim();
            let comment = marker.is_none_or(|marker| trimmed.starts_with(marker));
            let words = match marker {
                Some(marker) if comment => uncommented(trimmed, marker),
                Some(_) => trimmed.trim_end_matches('\\').trim_end(),
                None => trimmed,
            };
            let fence = comment && words.starts_with("```");
            in_code = comment && (in_code != fence);
            let is_prose = comment && !in_code && !fence && !words.starts_with('|');
            lines.push(Line { number: index + 1, whole, words, is_prose });
        }
        Some(Self { file, lines })
    }
}

/// `comment` without its marker, whether it documents (`///`, `//!`) or not.
fn uncommented<'a>(comment: &'a str, marker: &str) -> &'a str {
    let rest = comment.strip_prefix(marker).unwrap_or(comment);
    rest.trim_start_matches(['/', '!', '#', ';']).trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<'a>(file: &'a str, content: &'a str) -> Vec<(&'a str, bool)> {
        let text = Text::read(file, content).unwrap();
        text.lines.iter().map(|line| (line.words, line.is_prose)).collect()
    }

    #[test]
    fn comments_are_prose_and_code_is_not() {
        let source = "//! A map.\nfn f() {} // why\n    /// Returns.\n";
        assert_eq!(words("a.rs", source), [("A map.", true), ("fn f() {} // why", false), ("Returns.", true)]);
        assert_eq!(words("a.toml", "# Why\na = 1"), [("Why", true), ("a = 1", false)]);
        assert_eq!(words("a.sql", "-- Why\nSELECT 1"), [("Why", true), ("SELECT 1", false)]);
    }

    #[test]
    fn examples_and_tables_are_not_prose() {
        let source = "/// ```\n/// f();\n/// ```\n/// | a |\n/// b";
        let prose: Vec<_> = words("a.rs", source).into_iter().map(|(_, is_prose)| is_prose).collect();
        assert_eq!(prose, [false, false, false, false, true]);
    }

    #[test]
    fn other_files_have_no_prose() {
        assert!(Text::read("fuzz/corpus/key/typed", "//").is_none());
        assert!(Text::read("a.wasm", "//").is_none());
    }
}
