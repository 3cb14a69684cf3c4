//! The two records of a licence: the vendor's terms, which this app reads, and the usage state,
//! which only this app writes.

use std::time::Duration;

use countersign::id::LicenseId;
use countersign::license::License;
use countersign::limits::REMEMBER_SECONDS;
use countersign::request::Request;
use countersign::state::{AppliedOperation, Operation, State};
use countersign::time::Timestamp;
use countersign_app_common::contention::{self, Bound};
use countersign_app_common::store::{self, CompareAndSwap, Entry, Expectation, Outcome};

use crate::context::Context;
use crate::journal;
use crate::unavailable::Unavailable;

/// Hosts give a request a second or more, so it gives up before they do.
const BOUND: Bound = Bound { attempts: 128, time: Duration::from_millis(500) };

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
        after.generation += 1;
        after.written_at = Some(now);
        let expect = found.as_ref().map_or(Expectation::Absent, |entry| Expectation::Matches(entry.version));
        match put(&key, &after.to_bytes(), expect, None, context)? {
            Outcome::Stored(_) => Ok(Some(result)),
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

/// The operation from its own entry, if it was applied in the last day. One read.
pub(crate) fn applied(operation: &Operation, context: &mut Context) -> Result<Option<AppliedOperation>, Unavailable> {
    let Some(entry) = get(&operation.store_key(), context)? else { return Ok(None) };
    let applied = AppliedOperation::from_bytes(&entry.value).map_err(|_| Unavailable("corrupt-state"))?;
    // A store may keep an entry for longer than its time to live.
    Ok(Some(applied).filter(|applied| context.now() < applied.at.plus_seconds(REMEMBER_SECONDS)))
}

/// Writes an applied operation to an entry of its own. The licence's state also remembers its
/// latest operations, so if this fails, the operation is only forgotten sooner.
pub(crate) fn remember(operation: Operation, context: &mut Context) {
    // Other stores would never delete these entries.
    if store::describe().ttl {
        let applied = AppliedOperation { operation, at: context.moment() };
        let _ = put(&operation.store_key(), &applied.to_bytes(), Expectation::Any, Some(REMEMBER_SECONDS), context);
    }
}

/// Whether concurrent writers may exceed a limit.
pub(crate) fn limits_are_soft() -> bool {
    store::describe().compare_and_swap != CompareAndSwap::Atomic
}

fn get(key: &str, context: &mut Context) -> Result<Option<Entry>, Unavailable> {
    Ok(context.time_store(|| store::get(key))?)
}

fn put(
    key: &str,
    value: &[u8],
    expect: Expectation,
    ttl: Option<u32>,
    context: &mut Context,
) -> Result<Outcome, Unavailable> {
    Ok(context.time_store(|| store::put(key, value, expect, ttl))?)
}
