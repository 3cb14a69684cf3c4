//! The time, from the host.

use std::time::Duration;

use countersign::time::Timestamp;
use wasi::clocks::{monotonic_clock, wall_clock};

/// The present.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix(wall_clock::now().seconds as i64)
}

/// How long something takes that may not take for ever.
pub(crate) struct Stopwatch(monotonic_clock::Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(monotonic_clock::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now().saturating_sub(self.0))
    }
}

/// Waits for some part of `most`: those who wait because they met do not meet again at its end.
pub(crate) fn wait_up_to(most: Duration) {
    // Of a clock that counts in microseconds or finer, some thousandths of a millisecond are as good as random.
    let part = (monotonic_clock::now() / 1_000 % 1_000) as u32;
    let wait = most * part / 1_000;
    monotonic_clock::subscribe_duration(wait.as_nanos() as u64).block();
}
