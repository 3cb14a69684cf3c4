//! `cargo xtask advisories`: known vulnerabilities in the dependencies of both lock files.
//!
//! It is not a step of `test`: a test must not fail because a vulnerability was published last
//! night. A release runs it.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};

use crate::{
    run::{output, root, run},
    tools::CARGO_DENY,
};

/// The packages whose lock files together have every dependency.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

/// Checks the lock files against the database of advisories, which is fetched first.
///
/// # Errors
///
/// Fails if a dependency has an advisory, and if the database cannot be fetched: then nothing is
/// known.
pub(crate) fn check() -> Result<()> {
    let deny = CARGO_DENY.ensure()?;
    if let Err(error) = output(Command::new(&deny).current_dir(root()).args(["fetch", "db"])) {
        bail!(
            "the database of advisories cannot be fetched, so whether a dependency has a known vulnerability is not \
             known. Run this where https://github.com/rustsec/advisory-db can be reached. {error:#}"
        );
    }
    let mut failed = Vec::new();
    for manifest in MANIFESTS {
        println!("==> {}", lock_file(manifest));
        if run(&mut advisories(&deny, manifest)).is_err() {
            failed.push(lock_file(manifest));
        }
    }
    if !failed.is_empty() {
        bail!("advisories apply to {}; the output above has each with what to do", failed.join(" and "));
    }
    println!("no advisory applies to {}", MANIFESTS.map(lock_file).join(" and "));
    Ok(())
}

fn advisories(deny: &Path, manifest: &str) -> Command {
    let mut command = Command::new(deny);
    command.current_dir(root()).args(["--manifest-path", manifest, "--workspace", "--all-features", "--locked"]);
    command.args(["--config", "deny.toml", "check", "advisories"]);
    command
}

fn lock_file(manifest: &str) -> String {
    manifest.replace(".toml", ".lock")
}
