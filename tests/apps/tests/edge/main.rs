//! A simulation of edges and their origin: the real components, with clocks that differ, near
//! stores that forget and fail, changes that arrive late, twice and in any order, and an origin
//! that is down or whose answers are lost. Everything follows from a seed. `COUNTERSIGN_SEED=n`
//! runs that seed alone, and prints its steps.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod random;
mod simulation;

use std::env;
use std::sync::LazyLock;
use std::thread;

use countersign_app_tests::edge::Program;
use simulation::run;

/// Seeds of one test run.
const SEEDS: u64 = 10_000;

/// Seeds within which each planted fault must be found.
const FAULT_SEEDS: u64 = 2_000;

static EDGE: LazyLock<Program> = LazyLock::new(|| Program::compile("tests/edge.wasm"));
static PLANTED: LazyLock<Program> = LazyLock::new(|| Program::compile("tests/edge-planted.wasm"));

#[test]
fn the_promises_of_an_edge_hold_for_every_seed() {
    if let Ok(seed) = env::var("COUNTERSIGN_SEED") {
        let steps = run(&EDGE, seed.parse().unwrap(), None);
        panic!("{steps:#?}");
    }
    thread::scope(|scope| {
        for part in 0..2 {
            scope.spawn(move || {
                for seed in (part..SEEDS).step_by(2) {
                    if let Err(broken) = run(&EDGE, seed, None) {
                        panic!("COUNTERSIGN_SEED={seed}: {}", broken.law);
                    }
                }
            });
        }
    });
}

#[test]
fn each_planted_fault_is_found() {
    let faults = ["older-replaces-newer", "refusal-unconfirmed", "missing-for-ever", "write-dropped", "age-unsaid"];
    for fault in faults {
        let found = (0..FAULT_SEEDS).find_map(|seed| Some((seed, run(&PLANTED, seed, Some(fault)).err()?)));
        let (seed, broken) = found.unwrap_or_else(|| panic!("{fault} is not found in {FAULT_SEEDS} seeds"));
        eprintln!("{fault} is found by seed {seed}: {}", broken.law);
    }
}
