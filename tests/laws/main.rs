//! Laws: what holds of every key, value, record, verdict and state.

#![allow(clippy::unwrap_used, reason = "values that are written here are well formed")]

mod decisions;
mod generators;
mod model;
mod values;
mod verbs;

use proptest::test_runner::Config;

/// What fails is printed, and belongs into a vector: nothing is written beside the sources.
fn config() -> Config {
    Config { failure_persistence: None, ..Config::default() }
}
