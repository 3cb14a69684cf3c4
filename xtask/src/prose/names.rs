//! Links and file names in prose: each must lead to a tracked file or directory, and a test that is
//! named with its file, as `tests/vectors.rs::main`, must be in it.

use std::{collections::BTreeSet, fs, path::Path};

use super::{
    Finding,
    text::{Line, Text},
};
use crate::run::root;

/// What the repository has.
pub(super) struct Names<'a> {
    files: &'a BTreeSet<&'a str>,
    directories: BTreeSet<&'a str>,
}

/// Endings that make a word in backticks the name of a file.
const ENDINGS: [&str; 9] = [".rs", ".md", ".toml", ".wit", ".sql", ".wat", ".js", ".py", ".capnp"];

/// Names of files that are not in the repository: an operator's or a build's.
const ELSEWHERE: [&str; 3] = ["profiles.toml", "wrangler.toml", "debian.sources"];

impl<'a> Names<'a> {
    pub(super) fn new(files: &'a BTreeSet<&'a str>) -> Self {
        let parents = |file: &'a str| file.match_indices('/').map(move |(end, _)| &file[..end]);
        Self { files, directories: files.iter().flat_map(|file| parents(file)).collect() }
    }

    pub(super) fn check(&self, text: &Text) -> Vec<Finding> {
        // A release names files as they were then.
        if text.file == "CHANGELOG.md" {
            return Vec::new();
        }
        let is_markdown = text.file.ends_with(".md");
        let mut findings = Vec::new();
        for line in text.lines.iter().filter(|line| line.is_prose || line.words.starts_with('|')) {
            let dead_links = links(line).filter(|link| is_markdown && !self.has_link(text.file, link));
            let unknown = quoted(line).filter(|name| !self.has_name(text.file, name));
            for name in dead_links.chain(unknown) {
                findings.push(Finding { line: line.number, problem: format!("there is no `{name}`") });
            }
        }
        findings
    }

    fn has_link(&self, file: &str, link: &str) -> bool {
        let target = link.split('#').next().unwrap_or_default();
        link.contains("://") || target.is_empty() || self.has(&joined(parent(file), target))
    }

    /// Whether a word in backticks is not a path at all, or the path of something: from the root,
    /// from the directory of the text or of its package, or the end of a path.
    fn has_name(&self, file: &str, name: &str) -> bool {
        let name = name.trim_end_matches('/');
        if let Some((tests, test)) = name.split_once("::").filter(|(tests, _)| tests.contains('/')) {
            return self.files.contains(tests) && has_test(tests, test);
        }
        let is_path = name.chars().all(|char| char.is_ascii_alphanumeric() || "._-/".contains(char));
        let is_file = ENDINGS.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending));
        let top = name.split('/').next().unwrap_or_default();
        let is_below_root = name.contains('/') && self.directories.contains(top);
        if !is_path
            || !(is_file || is_below_root)
            || name.starts_with(['/', '.'])
            || top == "target"
            || ELSEWHERE.contains(&name)
        {
            return true;
        }
        let from = Path::new(file).ancestors().filter_map(Path::to_str);
        if from.skip(1).any(|directory| self.has(&joined(directory, name))) {
            return true;
        }
        is_file && !is_below_root && self.files.iter().any(|file| file.ends_with(&format!("/{name}")))
    }

    fn has(&self, path: &str) -> bool {
        self.files.contains(path) || self.directories.contains(path)
    }
}

/// Whether a file has a test of this name: a function, or a trial that has its name as a text.
fn has_test(file: &str, test: &str) -> bool {
    let text = fs::read_to_string(root().join(file)).unwrap_or_default();
    text.contains(&format!("fn {test}(")) || text.contains(&format!("\"{test}\""))
}

fn parent(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// `path` from `directory`, without `..`.
fn joined(directory: &str, path: &str) -> String {
    let mut parts: Vec<_> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The targets of Markdown's links: `[text](target)`.
fn links<'a>(line: &Line<'a>) -> impl Iterator<Item = &'a str> {
    line.words.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// What is between backticks.
fn quoted<'a>(line: &Line<'a>) -> impl Iterator<Item = &'a str> {
    line.words.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(file: &str, content: &str) -> Vec<String> {
        let files = BTreeSet::from(["src/key.rs", "src/lib.rs", "host/src/store/cache.rs", "docs/api.md", "README.md"]);
        let findings = Names::new(&files).check(&Text::read(file, content).unwrap());
        findings.into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        assert_eq!(problems("README.md", "[a](docs/api.md#usage) [b](docs/cli.md)"), ["there is no `docs/cli.md`"]);
        assert_eq!(problems("docs/api.md", "[a](../README.md) [b](README.md)"), ["there is no `README.md`"]);
        assert_eq!(problems("README.md", "[a](https://example.com/a.md) [b](#usage)"), [""; 0]);
    }

    #[test]
    fn a_file_that_is_not_there_is_found() {
        assert_eq!(problems("src/lib.rs", "//! See `src/key.rs`, `key.rs`, `store/cache.rs`."), [""; 0]);
        assert_eq!(problems("src/lib.rs", "//! See `src/keys.rs`."), ["there is no `src/keys.rs`"]);
        assert_eq!(problems("src/lib.rs", "//! See `keys.rs`."), ["there is no `keys.rs`"]);
        assert_eq!(problems("README.md", "| `host/tests/` | `host/src/store` |"), ["there is no `host/tests/`"]);
    }

    #[test]
    fn a_test_that_is_not_in_its_file_is_found() {
        let file = "tests/vectors.rs";
        let files = BTreeSet::from([file]);
        let problems = |name: &str| Names::new(&files).check(&Text::read("README.md", name).unwrap()).len();
        assert_eq!(problems("`tests/vectors.rs::main`"), 0);
        assert_eq!(problems("`tests/vectors.rs::no_such_test`"), 1);
        assert_eq!(problems("`tests/other.rs::main`"), 1);
    }

    #[test]
    fn what_is_not_a_path_passes() {
        let text = "`/api/v1/validate` `application/json` `target/release/countersign` `~/.config/a.toml` `a::b`";
        assert_eq!(problems("README.md", text), [""; 0]);
    }
}
