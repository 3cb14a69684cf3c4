//! Tells the operator who was refused, in the journal: how often in the last second, by address.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use countersign::limiter::Network;

use crate::bindings::journal::Event;
use crate::imports::journal::Journal;
use crate::limits::MAX_NOTICES;

/// What was refused since the last report.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_address: HashMap<(Refusal, Network), u64>,
    /// Refusals of further addresses.
    others: HashMap<Refusal, u64>,
}

/// Why a client was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    /// The connection had waited longest, and made room for another.
    MadeRoom,
    /// The connection came while every place was taken by a request that is being answered.
    NoPlace,
    /// The request came while as many as may be were being answered.
    Busy,
    /// The key was unknown, as were too many before it.
    UnknownKey,
}

impl Refusal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::MadeRoom => "made-room",
            Self::NoPlace => "no-place",
            Self::Busy => "busy",
            Self::UnknownKey => "unknown-key",
        }
    }
}

impl Notices {
    pub(super) fn add(&self, refusal: Refusal, network: Network) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = counts.by_address.len() < MAX_NOTICES;
        let count = match counts.by_address.get_mut(&(refusal, network)) {
            Some(count) => count,
            None if has_room => counts.by_address.entry((refusal, network)).or_default(),
            None => counts.others.entry(refusal).or_default(),
        };
        *count += 1;
    }

    /// Appends what was refused since the last report, and starts again from zero.
    pub(super) fn report(&self, journal: &Journal) {
        let Counts { by_address, others } = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed();
        let by_address = by_address.into_iter().map(|((refusal, network), count)| (refusal, Some(network), count));
        let others = others.into_iter().map(|(refusal, count)| (refusal, None, count));
        for (refusal, network, count) in by_address.chain(others) {
            journal.append(Event {
                time,
                name: "refusals".into(),
                request: None,
                code: None,
                reason: Some(refusal.as_str().into()),
                detail: None,
                license: None,
                client: network.map(|network| network.to_string()),
                count: Some(count),
                seconds: None,
                stale_seconds: None,
                duration_micros: None,
            });
        }
    }
}
