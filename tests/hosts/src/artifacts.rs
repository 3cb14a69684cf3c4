//! The built files under test. `cargo xtask test` builds them and passes their paths in environment
//! variables.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// Checks that all files are there, and warns if Spin is not.
///
/// # Errors
///
/// Fails if a variable is not set or a file is missing.
pub fn check() -> Result<()> {
    for found in [component(""), countersign(), wasmtime(), viceroy()] {
        found?;
    }
    if spin().is_none() {
        eprintln!("SKIPPED: all tests on Spin, because `spin` is not on PATH");
    }
    Ok(())
}

/// The composed component with this path below the directory of components.
pub fn component(name: &str) -> Result<PathBuf> {
    existing(given("COUNTERSIGN_COMPONENTS")?.join(name))
}

/// The `countersign` binary.
pub fn countersign() -> Result<PathBuf> {
    existing(given("COUNTERSIGN_BIN")?)
}

/// The `wasmtime` binary.
pub fn wasmtime() -> Result<PathBuf> {
    existing(given("COUNTERSIGN_WASMTIME")?)
}

/// The `viceroy` binary.
pub fn viceroy() -> Result<PathBuf> {
    existing(given("COUNTERSIGN_VICEROY")?)
}

/// The `spin` binary, if it is on `PATH`: cargo cannot install it.
#[must_use]
pub fn spin() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join("spin")).find(|file| file.is_file())
}

fn given(variable: &str) -> Result<PathBuf> {
    env::var_os(variable).map(PathBuf::from).with_context(|| format!("{variable} is not set: run `cargo xtask test`"))
}

fn existing(path: PathBuf) -> Result<PathBuf> {
    ensure!(path.exists(), "{} does not exist: run `cargo xtask test`", path.display());
    Ok(path)
}
