//! The core does no I/O, reads no clock and has no global state, and neither do the crates that it
//! depends on.

#![allow(clippy::unwrap_used, reason = "a source that cannot be read fails the test")]

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

/// The crates that the core may depend on, directly or not. Before adding one, make sure that it
/// does not touch files, sockets, the environment or a clock.
const PURE_CRATES: &[&str] = &[
    // A key's hash.
    "block-buffer",
    "cfg-if",
    "const-oid",
    "crypto-common",
    "digest",
    "hybrid-array",
    "sha2",
    "typenum",
    // JSON.
    "itoa",
    "memchr",
    "serde",
    "serde_core",
    "serde_json",
    "zmij",
    // UTS 46, with the Unicode tables of ICU4X.
    "icu_collections",
    "icu_locale_core",
    "icu_normalizer",
    "icu_normalizer_data",
    "icu_properties",
    "icu_properties_data",
    "icu_provider",
    "idna",
    "idna_adapter",
    "litemap",
    "potential_utf",
    "smallvec",
    "stable_deref_trait",
    "tinystr",
    "utf8_iter",
    "utf_types",
    "writeable",
    "yoke",
    "zerofrom",
    "zerotrie",
    "zerovec",
    // The public suffix list.
    "psl",
    "psl-types",
    // Sentences of errors.
    "thiserror",
];

#[test]
fn the_core_depends_only_on_pure_crates() {
    // For a component's target, so that the result is the same on every machine.
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "countersign", "--edges", "normal,no-proc-macro", "--prefix", "none"])
        .args(["--format", "{p}", "--target", "wasm32-unknown-unknown"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains("countersign") && crates.len() > 5, "unexpected output: {tree}");
    let others: Vec<_> = crates.iter().filter(|name| **name != "countersign" && !PURE_CRATES.contains(name)).collect();
    assert!(others.is_empty(), "not in PURE_CRATES: {others:?}");
}

/// Without std there is no I/O, clock or environment; the compiler ensures the rest.
#[test]
fn the_core_uses_std_only_in_its_tests() {
    let sources = sources();
    let (_, root) = sources.iter().find(|(path, _)| path.ends_with("lib.rs")).unwrap();
    assert!(root.lines().any(|line| line == "#![no_std]"));
    let declared: Vec<_> = sources.iter().flat_map(|(_, code)| lines_before(code, "extern crate std")).collect();
    assert_eq!(declared, ["#[cfg(test)]"]);
}

#[test]
fn the_core_has_no_global_state() {
    for (path, code) in sources() {
        let is_static = |line: &str| line.split_whitespace().any(|word| word == "static");
        let globals: Vec<_> =
            code.lines().filter(|line| !line.trim_start().starts_with("//") && is_static(line)).collect();
        assert!(globals.is_empty(), "{} has {globals:?}", path.display());
    }
}

/// The core's source files.
fn sources() -> Vec<(PathBuf, String)> {
    let directory = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let paths = directory.map(|entry| entry.unwrap().path());
    let sources: Vec<_> = paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    assert!(sources.len() > 10);
    sources
}

/// The line before each line that begins with this text.
fn lines_before<'a>(code: &'a str, text: &str) -> Vec<&'a str> {
    let lines = code.lines().zip(code.lines().skip(1));
    lines.filter(|(_, line)| line.trim_start().starts_with(text)).map(|(before, _)| before).collect()
}
