//! The time, from the host.

use std::time::Duration;

use countersign::time::Timestamp;
use wasi::clocks::{monotonic_clock, wall_clock};

/// Waits for some part of `most`: those who wait because they met do not meet again at its end.
pub(crate) fn wait_up_to(most: Duration) {
    // Of a clock that counts in microseconds or finer, some thousandths of a millisecond are as good as random.
    let part = (monotonic_clock::now() / 1_000 % 1_000) as u32;
    let wait = most * part / 1_000;
    monotonic_clock::subscribe_duration(wait.as_nanos() as u64).block();
}

/// What a request knows of time: when it is, how long it has taken, and how much of that the store.
pub(crate) struct Stopwatch {
    began: monotonic_clock::Instant,
    store: Duration,
    moment: Option<Timestamp>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { began: monotonic_clock::now(), store: Duration::ZERO, moment: None }
    }

    /// The present, from now on this request's [`moment`](Self::moment).
    pub(crate) fn now(&mut self) -> Timestamp {
        let now = Timestamp::from_unix(wall_clock::now().seconds as i64);
        self.moment = Some(now);
        now
    }

    /// The moment that the request's answer is about.
    pub(crate) fn moment(&mut self) -> Timestamp {
        self.moment.unwrap_or_else(|| self.now())
    }

    pub(crate) fn total(&self) -> Duration {
        since(self.began)
    }

    pub(crate) fn store(&self) -> Duration {
        self.store
    }

    /// Makes a call of the store.
    pub(crate) fn time_store<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let asked = monotonic_clock::now();
        let answer = call();
        self.store += since(asked);
        answer
    }
}

fn since(earlier: monotonic_clock::Instant) -> Duration {
    Duration::from_nanos(monotonic_clock::now().saturating_sub(earlier))
}
