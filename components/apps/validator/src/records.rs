//! The two records of a licence: what its vendor says, which this app reads, and what has become of it, which this app alone writes.

use std::time::Duration;

use countersign::key::KeyHash;
use countersign::license::License;
use countersign::limits::REMEMBER_SECONDS;
use countersign::state::{AppliedOperation, Operation, State};
use countersign::time::Timestamp;

use crate::clock::{Stopwatch, wait_up_to};
use crate::journal;
use countersign_app_common::store::{self, CompareAndSwap, Entry, Error, Expectation, Outcome};

/// Writes that a request tries before it gives up because others were faster each time.
const MAX_ATTEMPTS: u32 = 128;

/// How long it tries, however few: hosts give a request a second or more.
const MAX_TRYING: Duration = Duration::from_millis(500);

/// What a request waits at most before its third write. It waits less before each that follows, so that who came first is soon served.
const FIRST_WAIT: Duration = Duration::from_millis(16);

/// Why there is no answer, as a word for an operator: the kind of a store's error, `corrupt-record`, `corrupt-state` or `contention`.
#[derive(Clone, Copy)]
pub(crate) struct Unavailable(pub(crate) &'static str);

/// The licence with this key. One read.
pub(crate) fn license(key: &KeyHash, stopwatch: &mut Stopwatch) -> Result<Option<License>, Unavailable> {
    let Some(entry) = get(&key.store_key(), stopwatch)? else { return Ok(None) };
    License::from_json(&entry.value).map(Some).map_err(|_| Unavailable("corrupt-record"))
}

/// Lets `verb` change what has become of the licence, and gives its answer once that is written: one read and, if anything changed, one
/// write. Where others write at the same time, `verb` is asked again about what they left.
pub(crate) fn change<T>(
    license: &License,
    stopwatch: &mut Stopwatch,
    mut verb: impl FnMut(&mut State, Timestamp) -> T,
) -> Result<T, Unavailable> {
    let key = license.id.state_key();
    let mut found = get(&key, stopwatch)?;
    for attempt in 0..MAX_ATTEMPTS {
        // The second time at once: most meet but one other.
        if attempt > 1 {
            if stopwatch.total() > MAX_TRYING {
                break;
            }
            wait_up_to(FIRST_WAIT / (attempt - 1));
            // Others wrote while this waited, and what it was told of before is out of date.
            found = get(&key, stopwatch)?;
        }
        let before = match &found {
            Some(entry) => State::from_bytes(&entry.value).map_err(|_| Unavailable("corrupt-state"))?,
            None => State::default(),
        };
        // After the read, however long it took: the answer is about the moment at which it is given.
        let now = stopwatch.now();
        journal::note_clock(now, before.written_at);
        let mut after = before.clone();
        let answer = verb(&mut after, now);
        if after == before {
            return Ok(answer);
        }
        after.generation += 1;
        after.written_at = Some(now);
        let expect = found.as_ref().map_or(Expectation::Absent, |entry| Expectation::Matches(entry.version));
        match put(&key, &after.to_bytes(), expect, None, stopwatch)? {
            Outcome::Stored(_) => return Ok(answer),
            Outcome::Conflict(present) => found = present,
        }
    }
    Err(Unavailable("contention"))
}

/// Whether this operation was applied, as an entry of its own remembers.
pub(crate) fn applied(
    operation: &Operation,
    stopwatch: &mut Stopwatch,
) -> Result<Option<AppliedOperation>, Unavailable> {
    let Some(entry) = get(&operation.store_key(), stopwatch)? else { return Ok(None) };
    let applied = AppliedOperation::from_bytes(&entry.value).map_err(|_| Unavailable("corrupt-state"))?;
    // A store may keep an entry for longer than it was to. What is over is no reason not to remember the next.
    Ok(Some(applied).filter(|applied| stopwatch.now() < applied.at.plus_seconds(REMEMBER_SECONDS)))
}

/// Remembers an applied operation for longer than the licence's own record may. That has it too for a while: where this write fails,
/// nothing is lost but time.
pub(crate) fn remember(operation: Operation, stopwatch: &mut Stopwatch) {
    // A store that does not let go of entries would keep these for good.
    if store::describe().ttl {
        let applied = AppliedOperation { operation, at: stopwatch.moment() };
        let _ = put(&operation.store_key(), &applied.to_bytes(), Expectation::Any, Some(REMEMBER_SECONDS), stopwatch);
    }
}

/// Whether two writers at once may pass a limit, as the store promises nothing else.
pub(crate) fn limits_are_soft() -> bool {
    store::describe().compare_and_swap != CompareAndSwap::Atomic
}

fn get(key: &str, stopwatch: &mut Stopwatch) -> Result<Option<Entry>, Unavailable> {
    stopwatch.time_store(|| store::get(key)).map_err(|error| Unavailable(kind(&error)))
}

fn put(
    key: &str,
    value: &[u8],
    expect: Expectation,
    ttl: Option<u32>,
    stopwatch: &mut Stopwatch,
) -> Result<Outcome, Unavailable> {
    stopwatch.time_store(|| store::put(key, value, expect, ttl)).map_err(|error| Unavailable(kind(&error)))
}

/// A store's error without its text, which is for the host's own log.
pub(crate) fn kind(error: &Error) -> &'static str {
    match error {
        Error::Unavailable(_) => "unavailable",
        Error::NoSuchStore => "no-such-store",
        Error::AccessDenied => "access-denied",
        Error::Throttled => "throttled",
        Error::TooLarge => "too-large",
        Error::InvalidKey => "invalid-key",
        Error::Unsupported => "unsupported",
        Error::Other(_) => "other",
    }
}
