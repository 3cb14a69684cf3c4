//! Conditional writes that conflict with others: retry with back-off.

use std::time::Duration;

use crate::clock::{Stopwatch, wait_up_to};

/// The longest wait before the third attempt. Each later wait is shorter, so that the request that
/// has waited longest wins soon.
const FIRST_WAIT: Duration = Duration::from_millis(16);

/// When to give up.
pub struct Bound {
    /// Attempts at most.
    pub attempts: u32,
    /// The time for all of them. It should end before the host's own deadline for a request.
    pub time: Duration,
}

/// Calls `attempt` until it returns something, and at most as often, and as long since `start`, as
/// `bound` allows. Returns `None` if it gave up.
///
/// `attempt` returns `None` on a conflict, and is then retried: the first time at once, as most
/// requests meet only one other, and later after a wait. Its argument is whether it waited: what
/// the conflict returned may then be out of date.
///
/// # Errors
/// The first of `attempt`.
pub fn retry<T, E>(
    bound: &Bound,
    start: Stopwatch,
    mut attempt: impl FnMut(bool) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    for number in 0..bound.attempts {
        let waits = number > 1;
        if waits {
            if start.elapsed() > bound.time {
                break;
            }
            wait_up_to(FIRST_WAIT / (number - 1));
        }
        if let Some(done) = attempt(waits)? {
            return Ok(Some(done));
        }
    }
    Ok(None)
}
