//! The time, from the host.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign::time::Timestamp;

/// Waits for some part of `most`: those who wait because they met do not meet again at its end.
pub(crate) fn wait_up_to(most: Duration) {
    // The nanoseconds are as good as random to whoever waits for milliseconds.
    thread::sleep(most * (since_1970().subsec_nanos() / 100 % 1_000) / 1_000);
}

/// WASI counts the time since 1970 without a sign: there is no earlier time to fail on.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What a request knows of time: when it is, how long it has taken, and how much of that the store.
pub(crate) struct Stopwatch {
    began: Instant,
    store: Duration,
    moment: Option<Timestamp>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), store: Duration::ZERO, moment: None }
    }

    /// The present, from now on this request's [`moment`](Self::moment).
    pub(crate) fn now(&mut self) -> Timestamp {
        let now = Timestamp::from_unix(since_1970().as_secs() as i64);
        self.moment = Some(now);
        now
    }

    /// The moment that the request's answer is about.
    pub(crate) fn moment(&mut self) -> Timestamp {
        self.moment.unwrap_or_else(|| self.now())
    }

    pub(crate) fn total(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn store(&self) -> Duration {
        self.store
    }

    /// Makes a call of the store.
    pub(crate) fn time_store<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let asked = Instant::now();
        let answer = call();
        self.store += asked.elapsed();
        answer
    }
}
