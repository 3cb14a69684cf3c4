//! The core does no I/O and reads no clock: neither its own code nor any crate it depends on.

use std::{collections::BTreeSet, fs, process::Command};

/// What the core may depend on, directly or not. Before a crate joins: does it touch files, sockets, environment or
/// clock?
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

/// Where std does I/O, asks the host or the clock, or keeps global state.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::os",
    "std::process",
    "std::sync",
    "std::thread",
    "SystemTime",
    "Instant",
    "TcpStream",
    "UdpSocket",
    "ToSocketAddrs",
    "static ",
    "thread_local!",
    "print!",
    "println!",
    "eprint",
    "dbg!",
];

#[test]
fn the_core_depends_on_pure_crates_alone() {
    // The target of the components, so that the answer is the same on every machine.
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "countersign", "--edges", "normal,no-proc-macro", "--prefix", "none"])
        .args(["--format", "{p}", "--target", "wasm32-unknown-unknown"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains("countersign") && crates.len() > 5, "not understood: {tree}");
    let others: Vec<_> = crates.iter().filter(|name| **name != "countersign" && !PURE_CRATES.contains(name)).collect();
    assert!(others.is_empty(), "not on the list of pure crates: {others:?}");
}

#[test]
fn the_core_touches_nothing_outside() {
    let sources: Vec<_> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap().collect();
    assert!(sources.len() > 10);
    for source in sources {
        let path = source.unwrap().path();
        let code = fs::read_to_string(&path).unwrap().replace("'static ", "");
        let found: Vec<_> = IMPURE.iter().filter(|word| code.contains(**word)).collect();
        assert!(found.is_empty(), "{} has {found:?}", path.display());
    }
}
