//! `cargo xtask bench`: builds what is measured, and runs `benches/runner` on it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{
    compose::{self, Set},
    run::{cargo, on_path, output, root, run, target_directory},
    tools::{OHA, VICEROY, WASMTIME},
    up,
};

/// The document with the tables of a full run.
const DOCUMENT: &str = "docs/benchmarks.md";

/// Measures every host. Unless `quick`, the tables go to [`DOCUMENT`].
///
/// # Errors
///
/// Fails if anything cannot be built, installed or measured.
pub(crate) fn bench(quick: bool) -> Result<()> {
    // Before the runner starts: nothing else may run while it measures.
    let (host, wasmtime, viceroy, oha) = (up::build_host()?, WASMTIME.ensure()?, VICEROY.ensure()?, OHA.ensure()?);
    // Alone: it enables other features of crates below the engine, which would all be built again.
    run(cargo().args(["build", "--release", "--package", "countersign-peer-axum"]))?;
    let mut bench = runner(Set::All)?;
    bench
        .env("COUNTERSIGN_BIN", host)
        .env("COUNTERSIGN_WASMTIME", wasmtime)
        .env("COUNTERSIGN_VICEROY", viceroy)
        .env("COUNTERSIGN_OHA", oha)
        .env("COUNTERSIGN_OHA_VERSION", OHA.name())
        .env("COUNTERSIGN_BENCH_CORE", core()?)
        .env("COUNTERSIGN_PEER_AXUM", target_directory()?.join("release/countersign-peer-axum"))
        .env("COUNTERSIGN_PEER_WORKERD", root().join(WORKERD_PEER));
    if let Some(workerd) = workerd()? {
        bench.env("COUNTERSIGN_WORKERD", workerd);
    }
    if quick {
        bench.arg("--quick");
    } else {
        fs::create_dir_all(root().join("docs"))?;
        bench.arg("--write").arg(root().join(DOCUMENT));
    }
    run(&mut bench)
}

/// Measures instances of the validator in one process. This needs no other program.
pub(crate) fn inside() -> Result<()> {
    run(runner(Set::Native)?.arg("--inside"))
}

/// Composes what is measured, and builds the program that measures it.
fn runner(set: Set) -> Result<Command> {
    compose::compose(set, false)?;
    run(cargo().args(["build", "--release", "--package", "countersign-bench"]))?;
    let mut runner = Command::new(target_directory()?.join("release/countersign-bench"));
    runner.env("COUNTERSIGN_COMPONENTS", compose::directory());
    Ok(runner)
}

/// Counts the instructions of the core. This needs no host, and no quiet machine.
pub(crate) fn instructions() -> Result<()> {
    run(Command::new(core()?).arg("--instructions"))
}

/// Builds `benches/core` and returns its program.
fn core() -> Result<PathBuf> {
    let build = ["build", "--release", "--package", "countersign", "--bench", "core"];
    let messages =
        output(cargo().args(build).arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit()))?;
    let mut messages = messages.lines().map(serde_json::from_str::<serde_json::Value>);
    let program = messages.find_map(|message| Some(PathBuf::from(message.ok()?["executable"].as_str()?)));
    program.context("cargo built no program of the benchmark `core`")
}

const WORKERD_PEER: &str = "benches/peers/workerd";

/// workerd's program, installed with npm; `None` without npm. The package also has a script of that
/// name, which would add a process.
fn workerd() -> Result<Option<PathBuf>> {
    if on_path("node").is_none() || on_path("npm").is_none() {
        return Ok(None);
    }
    let peer = root().join(WORKERD_PEER);
    run(Command::new("npm").current_dir(&peer).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
    let platforms = fs::read_dir(peer.join("node_modules/@cloudflare"))?;
    let programs = platforms.map(|platform| Ok::<_, std::io::Error>(platform?.path().join("bin/workerd")));
    let mut programs = programs.collect::<Result<Vec<_>, _>>()?.into_iter().filter(|program| program.is_file());
    programs.next().map(Some).context("npm installed no workerd for this platform")
}
