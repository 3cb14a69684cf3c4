//! `store.get`.

use countersign::store_keys::LICENSE;
use wasi::clocks::wall_clock;

use crate::bindings::countersign::license::{near, origin};
use crate::bindings::exports::countersign::license::store::{Error, Freshness, Lookup};
use crate::memory::{self, Found, Memory};
use crate::times::{Times, times};
use crate::{notes, outage, planted};

/// The entry in near of a host that follows the origin's changes: the last moment up to which near
/// has them all; seconds since 1970, big-endian. Such a host answers it without a look at its store.
const CURRENT: &str = "edge:current";

pub(crate) fn get(key: &str, freshness: Freshness) -> Result<Lookup, Error> {
    let (times, now) = (times(), wall_clock::now().seconds);
    let found = memory::recall(key);
    let is_usual = freshness == Freshness::Usual || planted::is("refusal-unconfirmed");
    if let (Some(Found { memory, .. }), true) = (&found, is_usual)
        && let Some(age) = age(memory, key, now, times)
        && age <= memory.fresh_for(times)
    {
        let entry = memory.entry.clone();
        // Those who try keys that do not exist cannot have the origin asked at each.
        let age_seconds = if entry.is_some() { age } else { 0 };
        return Ok(Lookup { entry, age_seconds, stale: false });
    }
    let usable = found.as_ref().filter(|found| found.memory.usable(key, now, times).is_some());
    let (window, patience) = match usable {
        Some(_) => (outage::WITH_MEMORY, times.patience),
        None => (outage::WITHOUT_MEMORY, times.timeout),
    };
    let answered = if outage::is_known(now, window) {
        Err(Error::Unavailable("the origin did not answer a moment ago".into()))
    } else {
        origin::get(key, patience).inspect_err(|error| outage::note(now, error))
    };
    match answered {
        Ok(entry) => {
            outage::end(now);
            let kept = keep(key, Memory { confirmed_at: now, entry }, found, now, times);
            // What is newer than the origin's answer was not confirmed by it.
            if kept.confirmed_at != now {
                notes::went_back(now);
            }
            kept.usable(key, now, times).ok_or_else(went_back)
        }
        Err(error) => found.and_then(|found| found.memory.usable(key, now, times)).ok_or(error),
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

/// Seconds since the memory was known to be what the origin has.
fn age(memory: &Memory, key: &str, now: u64, times: Times) -> Option<u32> {
    let age = memory.age(now);
    if !key.starts_with(LICENSE) || age.is_some_and(|age| age <= memory.fresh_for(times)) {
        return age;
    }
    let told = near::get(CURRENT, Freshness::Usual).ok().and_then(|lookup| lookup.entry);
    let told = told.and_then(|entry| entry.value.try_into().ok()).map(u64::from_be_bytes);
    let told = told.and_then(|current| now.checked_sub(current)).map(|age| u32::try_from(age).unwrap_or(u32::MAX));
    told.into_iter().chain(age).min()
}

impl Memory {
    fn fresh_for(&self, times: Times) -> u32 {
        let missing = if planted::is("missing-for-ever") { u32::MAX } else { times.missing };
        if self.entry.is_some() { times.fresh } else { missing }
    }

    /// The memory, if it may be used at its age without being confirmed. That a key does not exist
    /// may not.
    fn usable(&self, key: &str, now: u64, times: Times) -> Option<Lookup> {
        let age_seconds = age(self, key, now, times).filter(|age| *age <= times.stale)?;
        if self.entry.is_none() && age_seconds > 0 {
            return None;
        }
        let age_seconds = if planted::is("age-unsaid") { 0 } else { age_seconds };
        Some(Lookup { entry: self.entry.clone(), age_seconds, stale: age_seconds > times.fresh })
    }
}
