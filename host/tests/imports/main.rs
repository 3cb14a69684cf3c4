//! The host's imports for components: the store with its cache and its writer, and the journal.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod cache;
mod journal;
mod store;
mod writer;

use std::thread;
use std::time::{Duration, Instant};

/// How long a store call of a test waits for another writer.
const BUSY: Duration = Duration::from_secs(30);

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until this is so, within [`PATIENCE`].
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
