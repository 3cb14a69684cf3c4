//! That the origin did not answer, so that the next requests do not wait for it too.
//!
//! Remembered in near as well as in the instance: many hosts start an instance for each request.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bindings::countersign::license::near::{self, Expectation, Freshness};
use crate::bindings::exports::countersign::license::store::Error;
use crate::notes;

/// For how many seconds after a failure the origin is not asked by a request that can be answered
/// without it.
pub(crate) const WITH_MEMORY: u64 = 30;

/// The same for a request that cannot: it fails at once, and the first one after this time learns
/// whether the origin is back.
pub(crate) const WITHOUT_MEMORY: u64 = 5;

/// Sixteen bytes: when the outage began, and when the origin last failed to answer; seconds since
/// 1970, big-endian.
const KEY: &str = "edge:outage";

/// The outage that this instance knows of: its last failure; 0 without one.
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Whether the origin did not answer in the last `seconds`. A host that follows its changes knows
/// when it answered last.
pub(crate) fn is_known(now: u64, seconds: u64, answered: Option<u64>) -> bool {
    if FAILED.load(Ordering::Relaxed) == 0 {
        FAILED.store(recall().map_or(0, |(_, failed)| failed), Ordering::Relaxed);
    }
    let failed = FAILED.load(Ordering::Relaxed);
    let is_over = answered.is_some_and(|answered| answered > failed);
    !is_over && now.checked_sub(failed).is_some_and(|since| since < seconds)
}

fn recall() -> Option<(u64, u64)> {
    let value = near::get(KEY, Freshness::Usual).ok()?.entry?.value;
    let (began, failed) = value.split_first_chunk()?;
    Some((u64::from_be_bytes(*began), u64::from_be_bytes(failed.try_into().ok()?)))
}

/// Notes that the origin did not answer.
pub(crate) fn note(now: u64, error: &Error) {
    FAILED.store(now, Ordering::Relaxed);
    let began = recall().map(|(began, _)| began);
    if began.is_none() {
        notes::outage_began(now, error);
    }
    let value = [began.unwrap_or(now).to_be_bytes(), now.to_be_bytes()].concat();
    let _ = near::put(KEY, &value, Expectation::Any, None);
}

/// Notes that the origin answered.
pub(crate) fn end(now: u64) {
    if FAILED.swap(0, Ordering::Relaxed) != 0
        && let Some((began, _)) = recall()
        && near::delete(KEY).is_ok()
    {
        notes::outage_ended(now, now.saturating_sub(began));
    }
}
