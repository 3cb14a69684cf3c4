//! What a request may change of a licence's state.
//!
//! Each verb tries its change on a copy and lets [`Case::decide`] weigh what came of it. Only if that is valid does the copy take the state's
//! place; so a seat too many, a lease that is over and a licence that was revoked are refused by the same reasons, in the same order,
//! as in a validation. The first valid answer to any verb begins the time of a licence whose time begins later. Whoever calls writes the
//! state if it changed, on condition that nobody else has, or reads again and repeats.

use crate::{
    decide::Case,
    holder::Holder,
    license::{ExpiryBasis, License},
    limits::{MAX_REMEMBERED, REMEMBER_SECONDS},
    name::Label,
    request::Change,
    state::{AppliedOperation, Counter, Operation, Seat, State},
    terms::{Allowance, SeatPolicy},
    time::Timestamp,
    verdict::Verdict,
};

use alloc::vec::Vec;

/// May this run?
pub fn validate(case: &Case, state: &mut State, now: Timestamp) -> Verdict {
    if case.license.expiry_basis == ExpiryBasis::Issue || state.begun_at.is_some() {
        return case.decide(state, now);
    }
    attempt(case, state, now, |_| {})
}

/// Takes a seat, or the same again: whoever holds one keeps it, and has its lease renewed.
pub fn activate(case: &Case, state: &mut State, now: Timestamp) -> Verdict {
    attempt(case, state, now, |state| {
        let Some((policy, holder)) = seated(case) else { return };
        let found = state.find(&holder, policy.matching, now);
        if let Some(at) = found.filter(|at| state.seats[*at].is_live(now)) {
            return renew(&mut state.seats[at], policy, now);
        }
        let holder = found.map_or(holder, |at| state.seats.remove(at).holder);
        make_room(state, policy, now);
        let until = policy.lease_seconds.map(|seconds| now.plus_seconds(seconds));
        state.seats.push(Seat { holder, since: now, until });
    })
}

/// Keeps a seat: renews its lease, also one that ended, while its policy lets it revive and its seat is still free.
pub fn heartbeat(case: &Case, state: &mut State, now: Timestamp) -> Verdict {
    attempt(case, state, now, |state| {
        let Some((policy, holder)) = seated(case) else { return };
        let Some(at) = state.find(&holder, policy.matching, now) else { return };
        if state.seats[at].is_live(now) {
            return renew(&mut state.seats[at], policy, now);
        }
        if state.seats[at].until.is_some_and(|until| now < until.plus_seconds(policy.revive_seconds)) {
            // Behind those who came meanwhile.
            let mut seat = state.seats.remove(at);
            renew(&mut seat, policy, now);
            state.seats.push(seat);
        }
    })
}

/// Gives a seat back, whatever else is to be said of the licence. Whether there was one that was held.
pub fn deactivate(case: &Case, state: &mut State, now: Timestamp) -> bool {
    let Some(policy) = &case.license.seat_policy else { return false };
    let at = match case.request.activation {
        Some(id) => state.seats.iter().position(|seat| seat.holder.activation_id() == id),
        None => case.holder.and_then(|holder| state.find(&holder, policy.matching, now)),
    };
    at.is_some_and(|at| state.seats.remove(at).is_live(now))
}

/// Consumes some of an allowance, returns some, or reads what is left. Returned is no more than was used, and also to a licence that is not
/// valid any more.
///
/// With an `operation` that was applied already, as this state remembers or `earlier` says, nothing is changed.
pub fn usage(
    case: &Case,
    state: &mut State,
    operation: Option<Operation>,
    earlier: Option<AppliedOperation>,
    now: Timestamp,
) -> Result<UsageOutcome, KeyReused> {
    let Case { license, request, .. } = *case;
    if let Some(operation) = operation {
        let is_recent = |applied: &&AppliedOperation| now < applied.at.plus_seconds(REMEMBER_SECONDS);
        let mut recent = state.applied.iter().chain(&earlier).filter(is_recent);
        match recent.find(|applied| applied.operation.id == operation.id) {
            Some(applied) if applied.operation != operation => return Err(KeyReused),
            Some(_) => return Ok(UsageOutcome { verdict: case.decide(state, now), is_applied: true }),
            None => {}
        }
    }
    let allowance = license.allowances.iter().find(|allowance| Some(&allowance.name) == request.allowance.as_ref());
    let (is_applied, verdict) = match (request.change, allowance) {
        (Some(Change::Return(amount)), Some(allowance)) => {
            count(license, state, allowance, now, |used| used.saturating_sub(amount));
            (true, attempt(case, state, now, |_| {}))
        }
        (Some(Change::Consume(amount)), Some(allowance)) => {
            let consume = |state: &mut State| count(license, state, allowance, now, |used| used.saturating_add(amount));
            let verdict = attempt(case, state, now, consume);
            (verdict.is_valid(), verdict)
        }
        _ => (false, attempt(case, state, now, |_| {})),
    };
    if let Some(operation) = operation.filter(|_| is_applied) {
        // One that is over a day old: where the clock goes back, it is not to be taken for this one.
        state.applied.retain(|applied| applied.operation.id != operation.id);
        if state.applied.len() >= MAX_REMEMBERED {
            state.applied.remove(0);
        }
        state.applied.push(AppliedOperation { operation, at: now });
    }
    Ok(UsageOutcome { verdict, is_applied })
}

/// What came of a request for usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageOutcome {
    /// With what is left now.
    pub verdict: Verdict,
    /// Whether the change was made, by this request or by the same one before.
    pub is_applied: bool,
}

/// The idempotency key came before, with another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key was already used for a different request")]
pub struct KeyReused;

/// The verdict on what would come of a change, which is made if that is valid.
fn attempt(case: &Case, state: &mut State, now: Timestamp, change: impl FnOnce(&mut State)) -> Verdict {
    let mut changed = state.clone();
    change(&mut changed);
    // By either basis: a licence whose time begins with a seat is not valid without one.
    if case.license.expiry_basis != ExpiryBasis::Issue {
        changed.begun_at.get_or_insert(now);
    }
    let verdict = case.decide(&changed, now);
    if verdict.is_valid() {
        *state = changed;
        return verdict;
    }
    Verdict { code: verdict.code, warnings: Vec::new(), grace: false, ..case.decide(state, now) }
}

/// Changes what was used of an allowance, and forgets what was used of any that the licence has no more: so there are never more counters
/// than allowances.
fn count(license: &License, state: &mut State, allowance: &Allowance, now: Timestamp, change: impl FnOnce(u64) -> u64) {
    let (used, period) = state.used(allowance, now);
    let is_kept = |name: &Label| *name != allowance.name && license.allowances.iter().any(|each| each.name == *name);
    state.counters.retain(|counter| is_kept(&counter.name));
    state.counters.push(Counter { name: allowance.name.clone(), used: change(used), period });
}

/// The licence's rule on seats and the holder that the request names, if there are both.
fn seated<'a>(case: &Case<'a>) -> Option<(&'a SeatPolicy, Holder)> {
    case.license.seat_policy.as_ref().zip(case.holder)
}

/// A lease never ends earlier for being renewed, also where the clock went back.
fn renew(seat: &mut Seat, policy: &SeatPolicy, now: Timestamp) {
    let until = policy.lease_seconds.map(|seconds| now.plus_seconds(seconds));
    seat.until = until.map(|until| seat.until.map_or(until, |earlier| earlier.max(until)));
}

/// Takes away leases that ended, the longest ago first, until there is a seat to take. So there are never more seats in a record than may
/// be taken, whatever a clock says.
fn make_room(state: &mut State, policy: &SeatPolicy, now: Timestamp) {
    while state.seats.len() >= policy.ceiling() {
        let lapsed = state.seats.iter().enumerate().filter(|(_, seat)| !seat.is_live(now));
        let Some((at, _)) = lapsed.min_by_key(|(_, seat)| seat.until) else { return };
        state.seats.remove(at);
    }
}
