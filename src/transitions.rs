//! What a request may change of a licence's state.
//!
//! Each verb tries its change on a copy and lets [`decide`] weigh what came of it. Only if that is valid does the copy take the state's
//! place; so a seat too many, a lease that is over and a licence that was revoked are refused by the same reasons, in the same order,
//! as in a validation. The first valid answer to any verb begins the time of a licence whose time begins later. Whoever calls writes the
//! state if it changed, on condition that nobody else has, or reads again and repeats.

use crate::{
    decide::decide,
    holder::Holder,
    license::{ExpiryBasis, License},
    limits::{MAX_REMEMBERED, REMEMBER_SECONDS},
    name::Label,
    request::{Change, Request},
    state::{Applied, Counter, Operation, Seat, State},
    terms::{Allowance, SeatPolicy},
    time::Timestamp,
    verdict::Verdict,
};

use alloc::vec::Vec;

/// May this run?
pub fn validate<'a>(license: &'a License, state: &mut State, request: &Request, now: Timestamp) -> Verdict<'a> {
    if license.expiry_basis == ExpiryBasis::Issue || state.begun_at.is_some() {
        return decide(license, state, request, now);
    }
    attempt(license, state, request, now, |_| {})
}

/// Takes a seat, or the same again: whoever holds one keeps it, and has its lease renewed.
pub fn activate<'a>(license: &'a License, state: &mut State, request: &Request, now: Timestamp) -> Verdict<'a> {
    attempt(license, state, request, now, |state| {
        let Some((activation, holder)) = seated(license, request) else { return };
        let found = state.find(&holder, activation.matching, now);
        if let Some(at) = found.filter(|at| state.seats[*at].is_live(now)) {
            return renew(&mut state.seats[at], activation, now);
        }
        let holder = found.map_or(holder, |at| state.seats.remove(at).holder);
        make_room(state, activation, now);
        let until = activation.lease_seconds.map(|seconds| now.plus_seconds(seconds));
        state.seats.push(Seat { holder, since: now, until });
    })
}

/// Keeps a seat: renews its lease, also one that ended, while its policy lets it revive and its seat is still free.
pub fn heartbeat<'a>(license: &'a License, state: &mut State, request: &Request, now: Timestamp) -> Verdict<'a> {
    attempt(license, state, request, now, |state| {
        let Some((activation, holder)) = seated(license, request) else { return };
        let Some(at) = state.find(&holder, activation.matching, now) else { return };
        if state.seats[at].is_live(now) {
            return renew(&mut state.seats[at], activation, now);
        }
        if state.seats[at].until.is_some_and(|until| now < until.plus_seconds(activation.revive_seconds)) {
            // Behind those who came meanwhile.
            let mut seat = state.seats.remove(at);
            renew(&mut seat, activation, now);
            state.seats.push(seat);
        }
    })
}

/// Gives a seat back, whatever else is to be said of the licence. Whether there was one that was held.
pub fn deactivate(license: &License, state: &mut State, request: &Request, now: Timestamp) -> bool {
    let Some(activation) = &license.activation else { return false };
    let at = match request.activation {
        Some(id) => state.seats.iter().position(|seat| seat.holder.activation_id() == id),
        None => {
            request.holder(activation.per, &license.id).and_then(|holder| state.find(&holder, activation.matching, now))
        }
    };
    at.is_some_and(|at| state.seats.remove(at).is_live(now))
}

/// Consumes some of an allowance, returns some, or reads what is left. Returned is no more than was used, and also to a licence that is not
/// valid any more.
///
/// With an `operation` that was applied already, as this state remembers or `earlier` says, nothing is changed.
pub fn usage<'a>(
    license: &'a License,
    state: &mut State,
    request: &Request,
    operation: Option<Operation>,
    earlier: Option<Applied>,
    now: Timestamp,
) -> Result<Used<'a>, KeyReused> {
    if let Some(operation) = operation {
        let is_recent = |applied: &&Applied| now < applied.at.plus_seconds(REMEMBER_SECONDS);
        let mut recent = state.applied.iter().chain(&earlier).filter(is_recent);
        match recent.find(|applied| applied.operation.id == operation.id) {
            Some(applied) if applied.operation != operation => return Err(KeyReused),
            Some(_) => return Ok(Used { verdict: decide(license, state, request, now), is_applied: true }),
            None => {}
        }
    }
    let allowance = license.allowances.iter().find(|allowance| Some(&allowance.name) == request.allowance.as_ref());
    let (is_applied, verdict) = match (request.change, allowance) {
        (Some(Change::Return(amount)), Some(allowance)) => {
            count(license, state, allowance, now, |used| used.saturating_sub(amount));
            (true, attempt(license, state, request, now, |_| {}))
        }
        (Some(Change::Consume(amount)), Some(allowance)) => {
            let consume = |state: &mut State| count(license, state, allowance, now, |used| used.saturating_add(amount));
            let verdict = attempt(license, state, request, now, consume);
            (verdict.is_valid(), verdict)
        }
        _ => (false, attempt(license, state, request, now, |_| {})),
    };
    if let Some(operation) = operation.filter(|_| is_applied) {
        // One that is over a day old: where the clock goes back, it is not to be taken for this one.
        state.applied.retain(|applied| applied.operation.id != operation.id);
        if state.applied.len() >= MAX_REMEMBERED {
            state.applied.remove(0);
        }
        state.applied.push(Applied { operation, at: now });
    }
    Ok(Used { verdict, is_applied })
}

/// What came of a request for usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used<'a> {
    /// With what is left now.
    pub verdict: Verdict<'a>,
    /// Whether the change was made, by this request or by the same one before.
    pub is_applied: bool,
}

/// The idempotency key came before, with another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key was used for another request")]
pub struct KeyReused;

/// The verdict on what would come of a change, which is made if that is valid.
fn attempt<'a>(
    license: &'a License,
    state: &mut State,
    request: &Request,
    now: Timestamp,
    change: impl FnOnce(&mut State),
) -> Verdict<'a> {
    let mut changed = state.clone();
    change(&mut changed);
    // By either basis: a licence whose time begins with a seat is not valid without one.
    if license.expiry_basis != ExpiryBasis::Issue {
        changed.begun_at.get_or_insert(now);
    }
    let verdict = decide(license, &changed, request, now);
    if verdict.is_valid() {
        *state = changed;
        return verdict;
    }
    Verdict { code: verdict.code, warnings: Vec::new(), grace: false, ..decide(license, state, request, now) }
}

/// Changes what was used of an allowance, and forgets what was used of any that the licence has no more: so there are never more counters
/// than allowances.
fn count(license: &License, state: &mut State, allowance: &Allowance, now: Timestamp, change: impl FnOnce(u64) -> u64) {
    let (used, period) = state.used(allowance, now);
    let is_kept = |name: &Label| *name != allowance.name && license.allowances.iter().any(|each| each.name == *name);
    state.counters.retain(|counter| is_kept(&counter.name));
    state.counters.push(Counter { name: allowance.name.clone(), used: change(used), period });
}

/// What the licence says of seats, and who asks, where both are known.
fn seated<'a>(license: &'a License, request: &Request) -> Option<(&'a SeatPolicy, Holder)> {
    let activation = license.activation.as_ref()?;
    Some((activation, request.holder(activation.per, &license.id)?))
}

/// A lease never ends earlier for being renewed, also where the clock went back.
fn renew(seat: &mut Seat, activation: &SeatPolicy, now: Timestamp) {
    let until = activation.lease_seconds.map(|seconds| now.plus_seconds(seconds));
    seat.until = until.map(|until| seat.until.map_or(until, |earlier| earlier.max(until)));
}

/// Takes away leases that ended, the longest ago first, until there is a seat to take. So there are never more seats in a record than may
/// be taken, whatever a clock says.
fn make_room(state: &mut State, activation: &SeatPolicy, now: Timestamp) {
    while state.seats.len() >= activation.ceiling() {
        let lapsed = state.seats.iter().enumerate().filter(|(_, seat)| !seat.is_live(now));
        let Some((at, _)) = lapsed.min_by_key(|(_, seat)| seat.until) else { return };
        state.seats.remove(at);
    }
}
