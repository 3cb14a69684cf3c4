//! `store.put`.

use wasi::clocks::wall_clock;

use crate::bindings::countersign::license::{near, origin};
use crate::bindings::exports::countersign::license::store::{Entry, Error, Expectation, Outcome};
use crate::memory::{self, Memory};
use crate::times::times;
use crate::{outage, planted};

/// Writes to the origin, and keeps what it then has.
pub(crate) fn put(key: &str, value: Vec<u8>, expect: Expectation, ttl: Option<u32>) -> Result<Outcome, Error> {
    let (times, now) = (times(), wall_clock::now().seconds);
    if outage::is_known(now, outage::WITHOUT_MEMORY, None) {
        return Err(Error::Unavailable("the origin did not answer a moment ago".into()));
    }
    if planted::is("write-dropped") {
        return Ok(Outcome::Stored(Some(0)));
    }
    // Near keeps what it has after a failure: if the write was applied, the next one conflicts.
    let outcome = origin::put(key, &value, expect, ttl, times.timeout).inspect_err(|error| outage::note(now, error))?;
    outage::end(now);
    let present = match &outcome {
        Outcome::Stored(version) => version.map(|version| Entry { version, value }),
        Outcome::Conflict(present) => present.clone(),
    };
    let is_kept = present.is_some_and(|entry| {
        let memory = Memory { confirmed_at: now, entry: Some(entry) };
        memory::keep(key, memory, memory::recall(key), None).is_ok()
    });
    if !is_kept {
        // Near has an older entry, or one that no longer exists.
        let _ = near::delete(key);
    }
    Ok(outcome)
}
