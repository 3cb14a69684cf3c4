//! `store.get`.

use countersign::store_keys::LICENSE;
use wasi::clocks::wall_clock;

use crate::bindings::countersign::license::{near, origin};
use crate::bindings::exports::countersign::license::store::{Error, Freshness, Lookup};
use crate::memory::{self, Found, Memory};
use crate::times::{Times, times};
use crate::{notes, outage, planted};

/// The entry in near of a host that follows the origin's changes: the last moment up to which near
/// has them all; seconds since 1970, big-endian. Such a host answers it without a look at its
/// store.
const CURRENT: &str = "edge:current";

pub(crate) fn get(key: &str, freshness: Freshness) -> Result<Lookup, Error> {
    let (times, now) = (times(), wall_clock::now().seconds);
    let found = memory::recall(key);
    let is_usual = freshness == Freshness::Usual || planted::is("refusal-unconfirmed");
    // Only what its own age does not make fresh may need to know how far near follows the origin.
    let own_age = found.as_ref().and_then(|found| found.memory.age(now));
    let is_fresh = |age, memory: &Memory| age <= memory.fresh_for(times);
    let current = match &found {
        Some(Found { memory, .. }) if is_usual && own_age.is_some_and(|age| is_fresh(age, memory)) => None,
        _ => current(),
    };
    let age = |memory: &Memory| age(memory, key, now, current);
    let fresh_age = found
        .as_ref()
        .filter(|_| is_usual)
        .and_then(|Found { memory, .. }| age(memory).filter(|age| is_fresh(*age, memory)));
    if let Some(age_seconds) = fresh_age {
        let entry = found.and_then(|found| found.memory.entry);
        // Those who try keys that do not exist cannot have the origin asked at each.
        let age_seconds = if entry.is_some() { age_seconds } else { 0 };
        return Ok(Lookup { entry, age_seconds, stale: false });
    }
    let unconfirmed = found.as_ref().and_then(|found| found.memory.unconfirmed(age(&found.memory), times));
    let (window, patience) = match unconfirmed {
        Some(_) => (outage::WITH_MEMORY, times.patience),
        None => (outage::WITHOUT_MEMORY, times.timeout),
    };
    let answered = if outage::is_known(now, window, current) {
        Err(Error::Unavailable("the origin did not answer a moment ago".into()))
    } else {
        origin::get(key, patience).inspect_err(|error| outage::note(now, error))
    };
    match answered {
        Ok(entry) => {
            outage::end(now);
            let kept = keep(key, Memory { confirmed_at: now, entry }, found, now, times);
            if kept.confirmed_at == now {
                return Ok(Lookup { entry: kept.entry, age_seconds: 0, stale: false });
            }
            // What is newer than the origin's answer was not confirmed by it.
            notes::went_back(now);
            kept.unconfirmed(age(&kept), times).ok_or_else(went_back)
        }
        Err(error) => unconfirmed.ok_or(error),
    }
}

/// Keeps what the origin answered, where there is reason to.
fn keep(key: &str, answered: Memory, found: Option<Found>, now: u64, times: Times) -> Memory {
    let ttl = match &answered.entry {
        // There are as many as licences.
        Some(_) => None,
        // There are as many as guesses, so near must forget them. Only keys are guessed: whether
        // another entry exists is asked by who is about to write it.
        None if key.starts_with(LICENSE) && times.missing > 0 && near::describe().ttl => Some(times.missing),
        None if found.is_none() => return answered,
        None => None,
    };
    match memory::keep(key, answered.clone(), found, ttl) {
        Ok(kept) => kept,
        Err(error) => {
            notes::near_failed(now, &error);
            answered
        }
    }
}

fn went_back() -> Error {
    Error::Unavailable("the origin has an older record than this edge".into())
}

/// The last moment up to which near has all changes of licences, if this host follows them.
fn current() -> Option<u64> {
    let value = near::get(CURRENT, Freshness::Usual).ok()?.entry?.value;
    Some(u64::from_be_bytes(value.try_into().ok()?))
}

/// Seconds since the memory was known to be what the origin has. It is at least one where something
/// may have changed within this second: so a refusal is confirmed.
fn age(memory: &Memory, key: &str, now: u64, current: Option<u64>) -> Option<u32> {
    let own = memory.age(now);
    if !key.starts_with(LICENSE) {
        // Edges write state.
        return own.map(|age| age.max(1));
    }
    let told = current.and_then(|current| now.checked_sub(current)).map(|age| u32::try_from(age).unwrap_or(u32::MAX));
    told.map(|age| age.max(1)).into_iter().chain(own).min()
}

impl Memory {
    fn fresh_for(&self, times: Times) -> u32 {
        let missing = if planted::is("missing-for-ever") { u32::MAX } else { times.missing };
        if self.entry.is_some() { times.fresh } else { missing }
    }

    /// The memory, if it may be used at its age without being confirmed. That a key does not exist
    /// may not.
    fn unconfirmed(&self, age_seconds: Option<u32>, times: Times) -> Option<Lookup> {
        let age_seconds = age_seconds.filter(|age| *age <= times.stale)?;
        let entry = Some(self.entry.clone()?);
        let age_seconds = if planted::is("age-unsaid") { 0 } else { age_seconds };
        Some(Lookup { entry, age_seconds, stale: age_seconds > times.fresh })
    }
}
