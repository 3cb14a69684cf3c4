//! `cargo xtask bench`: sets up and builds all that is measured, and has `benches/runner` measure it.

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

/// Where a full run's tables stand.
const DOCUMENT: &str = "docs/benchmarks.md";

/// A full run writes its tables to [`DOCUMENT`].
pub(crate) fn bench(quick: bool) -> Result<()> {
    // All before the runner runs: nothing else does once it measures.
    let (host, wasmtime, viceroy, oha) = (up::build_host()?, WASMTIME.ensure()?, VICEROY.ensure()?, OHA.ensure()?);
    // Alone: it asks other features of crates that the engine is built on, and all of that would be built again.
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

/// Measures instances of the validator in one process: it needs no other program.
pub(crate) fn inside() -> Result<()> {
    run(runner(Set::Native)?.arg("--inside"))
}

/// Composes what is measured and builds what measures it.
fn runner(set: Set) -> Result<Command> {
    compose::compose(set, false)?;
    run(cargo().args(["build", "--release", "--package", "countersign-bench"]))?;
    let mut runner = Command::new(target_directory()?.join("release/countersign-bench"));
    runner.env("COUNTERSIGN_COMPONENTS", compose::directory());
    Ok(runner)
}

/// Counts the instructions of the core alone: it needs no host, and no quiet machine.
pub(crate) fn instructions() -> Result<()> {
    run(Command::new(core()?).arg("--instructions"))
}

/// Builds `benches/core` and gives its program.
fn core() -> Result<PathBuf> {
    let build = ["build", "--release", "--package", "countersign", "--bench", "core"];
    let messages =
        output(cargo().args(build).arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit()))?;
    let mut messages = messages.lines().map(serde_json::from_str::<serde_json::Value>);
    let program = messages.find_map(|message| Some(PathBuf::from(message.ok()?["executable"].as_str()?)));
    program.context("cargo built no program of the benchmark `core`")
}

const WORKERD_PEER: &str = "benches/peers/workerd";

/// workerd's program, by npm where that is there. Its package also has a script of that name, which would be one process more.
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
