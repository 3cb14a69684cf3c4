//! Laws that every key, value, record, verdict and state obeys.

#![allow(clippy::unwrap_used, reason = "the values written here are well formed")]

mod decisions;
mod generators;
mod model;
mod values;
mod verbs;

use proptest::test_runner::Config;

/// A failing case is printed, to be added to the vectors; no file is written beside the sources.
///
/// A law whose assumption (`prop_assume!`) holds in less than some 3 % of the cases fails: it needs
/// 256 cases and allows 8,192 rejections.
fn config() -> Config {
    Config { failure_persistence: None, max_global_rejects: 8_192, ..Config::default() }
}
