//! The time, from the host.

use std::time::Duration;

use countersign::time::Timestamp;
use wasi::clocks::{monotonic_clock, wall_clock};

/// The present, to the second.
pub fn now() -> Timestamp {
    Timestamp::from_unix(wall_clock::now().seconds as i64)
}

/// Measures how long something takes, by a clock that never goes back.
#[derive(Clone, Copy)]
pub struct Stopwatch(monotonic_clock::Instant);

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self(monotonic_clock::now())
    }

    /// The time since [`start`](Self::start).
    pub fn elapsed(self) -> Duration {
        Duration::from_nanos(monotonic_clock::now().saturating_sub(self.0))
    }
}

/// Waits for a random part of `most`, so that requests which met once do not meet again.
pub fn wait_up_to(most: Duration) {
    // Of a clock that counts in microseconds or finer, the last three digits are as good as random.
    let thousandths = (monotonic_clock::now() / 1_000 % 1_000) as u32;
    let wait = most * thousandths / 1_000;
    monotonic_clock::subscribe_duration(wait.as_nanos() as u64).block();
}
