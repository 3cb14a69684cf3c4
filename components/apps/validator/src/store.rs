//! The two records of a licence: the vendor's terms, which this app reads, and the usage state,
//! which it writes.

use std::time::Duration;

use countersign::id::LicenseId;
use countersign::license::License;
use countersign::limits::REMEMBER_SECONDS;
use countersign::request::Request;
use countersign::state::{AppliedOperation, Memory, Operation, State};
use countersign::time::Timestamp;
use countersign_app_common::contention::{self, Bound};
use countersign_app_common::store::{self, CompareAndSwap, Entry, Expectation, Lookup, Outcome, Version};

use crate::context::Context;
use crate::journal;
use crate::unavailable::Unavailable;

/// Hosts give a request a second or more, so it gives up before they do.
const BOUND: Bound = Bound { attempts: 128, time: Duration::from_millis(500) };

/// Writes of an entry of the longer memory before its operation is left to the shorter one.
const MAX_CONFLICTS: u32 = 16;

/// The licence with the request's key, if one has it. One read, and none for a key that fails its
/// checksum. An unknown key that was sent with white space around it is looked up with that too.
pub(crate) fn license(request: &Request, context: &mut Context) -> Result<Option<License>, Unavailable> {
    for key in request.keys() {
        if let Some(entry) = get(&key.store_key(), context)? {
            let license = License::from_json(&entry.value).map_err(|_| Unavailable("corrupt-record"))?;
            context.found(&license);
            return Ok(Some(license));
        }
    }
    Ok(None)
}

/// Applies `transition` to the state of a licence, and writes the state if it changed: one read and
/// one write. If another request wrote in between, this applies `transition` to what that one
/// wrote, and tries again.
pub(crate) fn change<T>(
    id: &LicenseId,
    context: &mut Context,
    mut transition: impl FnMut(&mut State, Timestamp) -> T,
) -> Result<T, Unavailable> {
    let key = id.state_key();
    let mut found = get(&key, context)?;
    let done = contention::retry::<_, Unavailable>(&BOUND, context.stopwatch, |has_waited| {
        if has_waited {
            found = get(&key, context)?;
        }
        let (before, now) = read(found.as_ref(), context)?;
        let mut after = before.clone();
        let result = transition(&mut after, now);
        if after == before {
            return Ok(Some(result));
        }
        after.generation = after.generation.checked_add(1).ok_or(Unavailable("corrupt-state"))?;
        after.written_at = Some(now);
        let expect = found.as_ref().map_or(Expectation::Absent, |entry| Expectation::Matches(entry.version));
        match put(&key, &after.to_bytes(), expect, None, context)? {
            Outcome::Stored(_) => {
                if let Some(begun_at) = after.begun_at.filter(|_| before.begun_at.is_none()) {
                    journal::note_beginning(begun_at, context);
                }
                Ok(Some(result))
            }
            Outcome::Conflict(present) => {
                found = present;
                Ok(None)
            }
        }
    })?;
    done.ok_or(Unavailable("contention"))
}

/// The state of a licence, and the moment at which it was read. One read.
pub(crate) fn state(id: &LicenseId, context: &mut Context) -> Result<(State, Timestamp), Unavailable> {
    let found = get(&id.state_key(), context)?;
    read(found.as_ref(), context)
}

fn read(found: Option<&Entry>, context: &mut Context) -> Result<(State, Timestamp), Unavailable> {
    let state = found.map(|entry| State::from_bytes(&entry.value)).transpose();
    let state = state.map_err(|_| Unavailable("corrupt-state"))?.unwrap_or_default();
    // After the read, however long it took: the answer applies to the moment at which it is given.
    let now = context.now();
    if let Some(written_at) = state.written_at.filter(|written_at| now < *written_at) {
        journal::note_clock(now, written_at);
    }
    Ok((state, now))
}

/// The entry of a licence's longer memory in which an operation belongs, as it was read.
pub(crate) struct Remembered {
    key: String,
    memory: Memory,
    version: Option<Version>,
}

impl Remembered {
    /// One read.
    pub(crate) fn read(operation: &Operation, license: &LicenseId, context: &mut Context) -> Result<Self, Unavailable> {
        let key = operation.store_key(license);
        let entry = get(&key, context)?;
        Self::of(key, entry.as_ref())
    }

    fn of(key: String, entry: Option<&Entry>) -> Result<Self, Unavailable> {
        let memory = entry.map(|entry| Memory::from_bytes(&entry.value)).transpose();
        let memory = memory.map_err(|_| Unavailable("corrupt-state"))?.unwrap_or_default();
        Ok(Self { key, memory, version: entry.map(|entry| entry.version) })
    }

    /// The operation as it was applied, perhaps too long ago.
    pub(crate) fn find(&self, operation: &Operation) -> Option<AppliedOperation> {
        self.memory.find(operation)
    }

    /// Adds an applied operation: one write. The licence's state also remembers its latest
    /// operations, so if this fails, the operation is only forgotten sooner.
    pub(crate) fn add(mut self, operation: Operation, context: &mut Context) {
        // Other stores would never delete these entries.
        if !store::describe().ttl {
            return;
        }
        let at = context.moment();
        for _ in 0..MAX_CONFLICTS {
            self.memory.add(AppliedOperation { operation, at });
            let expect = self.version.map_or(Expectation::Absent, Expectation::Matches);
            match put(&self.key, &self.memory.to_bytes(), expect, Some(REMEMBER_SECONDS), context) {
                Ok(Outcome::Conflict(present)) => match Self::of(self.key, present.as_ref()) {
                    Ok(current) => self = current,
                    Err(_) => return,
                },
                Ok(Outcome::Stored(_)) | Err(_) => return,
            }
        }
    }
}

/// Whether concurrent writers may exceed a limit.
pub(crate) fn limits_are_soft() -> bool {
    store::describe().compare_and_swap != CompareAndSwap::Atomic
}

fn get(key: &str, context: &mut Context) -> Result<Option<Entry>, Unavailable> {
    let freshness = context.freshness;
    let Lookup { entry, age_seconds, stale } = context.time_store(|| store::get(key, freshness))?;
    context.age_seconds = context.age_seconds.max(age_seconds);
    context.is_stale |= stale;
    Ok(entry)
}

fn put(
    key: &str,
    value: &[u8],
    expect: Expectation,
    ttl: Option<u32>,
    context: &mut Context,
) -> Result<Outcome, Unavailable> {
    let outcome = context.time_store(|| store::put(key, value, expect, ttl));
    context.may_have_written |= !matches!(outcome, Ok(Outcome::Conflict(_)));
    Ok(outcome?)
}
