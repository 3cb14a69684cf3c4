//! The step `prose`: holds comments, documents and messages to the project's rules for prose.
//!
//! It checks line width here, the word list in [`words`], and the files that a text names in
//! [`names`].

mod names;
mod text;
mod words;

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Result, bail};

use crate::run::{output, root};
use names::Names;
use text::Text;

/// The widest line of a comment or of Markdown, in characters. `rustfmt.toml` allows code 120.
const WIDTH: usize = 100;

/// Vendored interfaces, licences, lock files, figures that a program writes, and the word list,
/// which quotes what it bans.
const SKIPPED: [&str; 6] =
    ["/deps/", "LICENSE-", ".lock", "-lock.json", "docs/benchmarks.md", "xtask/src/prose/words.rs"];

/// What is wrong with a line.
#[derive(Debug, PartialEq)]
struct Finding {
    line: usize,
    problem: String,
}

/// Checks every tracked file and prints each fault as `file:line: problem`.
///
/// # Errors
///
/// Fails if there is any fault.
pub(crate) fn check() -> Result<()> {
    let tracked = output(Command::new("git").current_dir(root()).arg("ls-files"))?;
    let tracked: BTreeSet<_> = tracked.lines().filter(|file| root().join(file).exists()).collect();
    let names = Names::new(&tracked);
    let (mut texts, mut faults) = (0, 0);
    for file in tracked.iter().filter(|file| !SKIPPED.iter().any(|skipped| file.contains(skipped))) {
        let Ok(content) = fs::read_to_string(root().join(file)) else { continue };
        let Some(text) = Text::read(file, &content) else { continue };
        texts += 1;
        for Finding { line, problem } in check_text(&text, &names) {
            faults += 1;
            println!("{file}:{line}: {problem}");
        }
    }
    if faults > 0 {
        bail!("{faults} faults of prose; CONTRIBUTING.md has the rules");
    }
    println!("{texts} files keep the rules of prose");
    Ok(())
}

fn check_text(text: &Text, names: &Names) -> Vec<Finding> {
    let mut findings = too_wide(text);
    findings.extend(words::check(text));
    findings.extend(names.check(text));
    findings.sort_by_key(|finding| finding.line);
    findings
}

fn too_wide(text: &Text) -> Vec<Finding> {
    let mut findings = Vec::new();
    for line in text.lines.iter().filter(|line| line.is_prose) {
        // A URL cannot be wrapped.
        let kept = line.whole.split(' ').filter(|word| !word.contains("://"));
        let width = kept.map(|word| word.chars().count() + 1).sum::<usize>().saturating_sub(1);
        if width > WIDTH {
            findings.push(Finding { line: line.number, problem: format!("{width} columns; wrap at {WIDTH}") });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(file: &str, content: &str) -> Vec<Finding> {
        let tracked = BTreeSet::from(["src/key.rs", "docs/api.md", "Cargo.toml", file]);
        check_text(&Text::read(file, content).unwrap(), &Names::new(&tracked))
    }

    #[test]
    fn each_fault_has_its_line() {
        let wide = "w ".repeat(60);
        let text = format!("# Title\n\nThis is {}.\n{wide}\nSee [keys](src/keys.rs).\n", "none");
        let lines: Vec<_> = findings("README.md", &text).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [3, 4, 5]);
    }

    #[test]
    fn code_tables_and_urls_may_be_wide() {
        let wide = "w ".repeat(60);
        let url = format!("https://example.com/{}", "w".repeat(100));
        let text = format!("See {url}\n\n| {wide} |\n\n```sh\n{wide}\n```\n");
        assert_eq!(findings("README.md", &text), []);
        assert_eq!(findings("src/lib.rs", &format!("fn f() {{}} {wide}\n/// ```\n/// {wide}\n/// ```\n")), []);
    }

    #[test]
    fn a_comment_may_not_be_wide() {
        let wide = format!("// {}\n", "w ".repeat(60));
        assert_eq!(findings("src/lib.rs", &wide).len(), 1);
        assert_eq!(findings("Cargo.toml", &wide.replace("//", "#")).len(), 1);
    }
}
