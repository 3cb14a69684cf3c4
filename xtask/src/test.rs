//! `cargo xtask test`: every check, step by step. A step that fails does not stop the later ones.

use std::{process::Command, time::Instant};

use anyhow::{Context, Result, bail};

use crate::{
    compose::{self, Set},
    prose, readme,
    run::{cargo, check, check_quietly, on_path, output, root},
    target::TARGET,
    tools::{CARGO_DENY, CARGO_FUZZ, SCHEMATHESIS, VICEROY, WASMTIME},
    up,
};

enum Outcome {
    Passed,
    /// What is missing, and what was not tested for lack of it.
    Skipped(&'static str),
}

struct Step {
    name: &'static str,
    run: fn() -> Result<Outcome>,
}

/// Components come early: later steps serve and embed what was built here.
const STEPS: [Step; 13] = [
    Step { name: "format", run: format },
    Step { name: "prose", run: prose },
    Step { name: "components", run: components },
    Step { name: "lints", run: lints },
    Step { name: "dependencies", run: dependencies },
    Step { name: "core", run: core },
    Step { name: "apps", run: apps },
    Step { name: "native-host", run: native_host },
    Step { name: "readme", run: readme },
    Step { name: "all-hosts", run: all_hosts },
    Step { name: "api", run: api },
    Step { name: "node", run: node },
    Step { name: "fuzz", run: fuzz },
];

/// Seconds that each fuzz target runs: enough to find a regression that the corpus leads to.
const FUZZ_SECONDS: u32 = 5;

/// Runs the steps whose name contains `only`, or all, and prints a summary.
///
/// # Errors
///
/// Fails if no step has such a name, or if any step fails.
pub(crate) fn test(only: Option<&str>) -> Result<()> {
    let chosen: Vec<_> = STEPS.iter().filter(|step| only.is_none_or(|only| step.name.contains(only))).collect();
    if chosen.is_empty() {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("no step has `{}` in its name; the steps are {}", only.unwrap_or_default(), names.join(", "));
    }
    let on_hosts = chosen.iter().any(|step| step.name == "all-hosts");
    let mut summary = Vec::new();
    let mut failures = Vec::new();
    let (mut passed, mut skipped) = (0, 0);
    for step in chosen {
        println!("\n==> {}", step.name);
        let started = Instant::now();
        let outcome = match (step.run)() {
            Ok(Outcome::Passed) => {
                passed += 1;
                "passed".to_owned()
            }
            Ok(Outcome::Skipped(why)) => {
                skipped += 1;
                format!("SKIPPED: {why}")
            }
            Err(error) => {
                failures.push(format!("==> {} failed: {error:#}", step.name));
                "FAILED".to_owned()
            }
        };
        summary.push(format!("{:14} {:5} s  {outcome}", step.name, started.elapsed().as_secs()));
    }
    // Again, and together: they are hard to find in a log of thousands of lines.
    for failure in &failures {
        println!("\n{failure}");
    }
    println!("\n{}", summary.join("\n"));
    if on_hosts {
        println!("{}", hosts());
    }
    println!("{passed} passed, {} failed, {skipped} skipped", failures.len());
    if !failures.is_empty() {
        bail!("{} of the steps failed", failures.len());
    }
    Ok(())
}

fn hosts() -> &'static str {
    match on_path("spin") {
        Some(_) => "hosts: native, wasmtime serve, Viceroy, Spin",
        None => "hosts: native, wasmtime serve, Viceroy. SKIPPED: Spin, which is not on PATH",
    }
}

fn format() -> Result<Outcome> {
    check(cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn prose() -> Result<Outcome> {
    prose::check()?;
    Ok(Outcome::Passed)
}

fn components() -> Result<Outcome> {
    compose::compose(Set::All, false)?;
    Ok(Outcome::Passed)
}

fn lints() -> Result<Outcome> {
    let components = compose::packages(Set::All);
    let excluded = components.iter().flat_map(|package| ["--exclude", package]);
    check(
        cargo().args(["clippy", "--release", "--workspace", "--all-targets"]).args(excluded).args(["--", "-Dwarnings"]),
    )?;
    let chosen = components.iter().flat_map(|package| ["--package", package]);
    let wasm = ["clippy", "--profile", "component", "--target", TARGET];
    check(cargo().args(wasm).args(chosen).args(["--", "-Dwarnings"]))?;
    check(cargo().args(["doc", "--no-deps", "--package", "countersign"]).env("RUSTDOCFLAGS", "-Dwarnings"))?;
    Ok(Outcome::Passed)
}

/// Without `advisories`: a test must not fail because a vulnerability was published last night.
fn dependencies() -> Result<Outcome> {
    check(Command::new(CARGO_DENY.ensure()?).current_dir(root()).args([
        "--workspace",
        "--all-features",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))?;
    Ok(Outcome::Passed)
}

/// All that needs no host.
fn core() -> Result<Outcome> {
    let packages = [
        "countersign",
        "countersign-bulk",
        "countersign-registrar",
        "countersign-adapter-wasi",
        "countersign-store-origin-http",
        "countersign-store-tiered",
        "countersign-validator",
        "xtask",
    ];
    check(cargo().arg("test").args(packages.iter().flat_map(|package| ["--package", package])))?;
    Ok(Outcome::Passed)
}

/// Both apps in process. In release mode, like everything that links the engine.
fn apps() -> Result<Outcome> {
    check(
        cargo()
            .args(["test", "--release", "--package", "countersign-app-tests"])
            .env("COUNTERSIGN_COMPONENTS", compose::directory()),
    )?;
    Ok(Outcome::Passed)
}

/// In release mode: the tests of all hosts and `up` use the same build, and an engine without
/// optimisation compiles components for minutes.
fn native_host() -> Result<Outcome> {
    check(
        cargo()
            .args(["test", "--release", "--package", "countersign-host", "--package", "countersign-cli"])
            .env("COUNTERSIGN_COMPONENTS", compose::directory()),
    )?;
    // It links the engine too.
    check(cargo().args(["test", "--release", "--package", "countersign-bench"]))?;
    Ok(Outcome::Passed)
}

fn readme() -> Result<Outcome> {
    if on_path("curl").is_none() {
        return Ok(Outcome::Skipped("curl is not on PATH: the README's commands were not run"));
    }
    readme::check()?;
    Ok(Outcome::Passed)
}

fn all_hosts() -> Result<Outcome> {
    check(&mut host_tests()?)?;
    Ok(Outcome::Passed)
}

/// Drives both apps from `openapi.json`.
fn api() -> Result<Outcome> {
    let Some(programs) = SCHEMATHESIS.ensure()? else {
        return Ok(Outcome::Skipped(
            "there is no Python 3.10 or later with venv: the apps were not driven from openapi.json",
        ));
    };
    check(host_tests()?.args(["--test", "api"]).env("COUNTERSIGN_SCHEMATHESIS", programs))?;
    Ok(Outcome::Passed)
}

fn host_tests() -> Result<Command> {
    let mut tests = cargo();
    tests
        .args(["test", "--package", "countersign-host-tests"])
        .env("COUNTERSIGN_COMPONENTS", compose::directory())
        .env("COUNTERSIGN_BIN", up::build_host()?)
        .env("COUNTERSIGN_WASMTIME", WASMTIME.ensure()?)
        .env("COUNTERSIGN_VICEROY", VICEROY.ensure()?);
    Ok(tests)
}

fn node() -> Result<Outcome> {
    if on_path("node").is_none() || on_path("npm").is_none() {
        return Ok(Outcome::Skipped("node and npm are not on PATH: the validator was not run in Node"));
    }
    let tests = root().join("tests/node");
    check(Command::new("npm").current_dir(&tests).args(["ci", "--no-audit", "--no-fund"]))?;
    check(
        Command::new("npm")
            .current_dir(&tests)
            .args(["test"])
            .env("COUNTERSIGN_COMPONENT", compose::directory().join("countersign-native.wasm")),
    )?;
    Ok(Outcome::Passed)
}

fn fuzz() -> Result<Outcome> {
    // libFuzzer is in C++; nothing else here is.
    if on_path("c++").is_none() && std::env::var_os("CXX").is_none() {
        return Ok(Outcome::Skipped("there is no C++ compiler: the parsers were not fuzzed"));
    }
    let targets = output(Command::new(CARGO_FUZZ.ensure()?).current_dir(root()).args(["fuzz", "list"]))?;
    for target in targets.lines() {
        // Of a nightly rustc this needs coverage only, which stable has behind this switch.
        check_quietly(
            Command::new(CARGO_FUZZ.ensure()?)
                .current_dir(root())
                .env("RUSTC_BOOTSTRAP", "1")
                .args(["fuzz", "run", "--sanitizer", "none", target, "--"])
                .args([format!("-max_total_time={FUZZ_SECONDS}").as_str(), "-verbosity=0"]),
        )
        .with_context(|| format!("fuzz target `{target}`"))?;
    }
    Ok(Outcome::Passed)
}
