//! Where the build left what is tested. `cargo xtask test` builds it all and says where by environment variables.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// Fails unless the build has said where everything is; says so loudly if Spin's trials will be ignored.
pub fn check() -> Result<()> {
    for found in [component(""), countersign(), wasmtime(), viceroy()] {
        found?;
    }
    if spin().is_none() {
        eprintln!("SKIPPED: spin is not on PATH: nothing is tested on Spin, with either of its stores or shells");
    }
    Ok(())
}

/// The composed component `name`, a path below the directory of components: `tests/contract-native.wasm`.
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

/// The `spin` binary, if there is one on `PATH`. It is the one host that cargo cannot install.
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
