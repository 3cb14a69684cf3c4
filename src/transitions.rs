//! How requests change a licence's state.
//!
//! Each verb makes its change in a copy of the state and lets [`Case::decide`] decide on the copy.
//! The copy replaces the state only if the verdict is valid. So a seat too many, an ended lease and
//! a revoked licence are refused for the same reasons, in the same order, as in a validation.
//!
//! The first valid answer to any verb starts the time of a licence whose time has not begun, unless
//! it begins with a seat and the request names no holder. The
//! caller writes the state if it changed, on condition that it is still the stored one. If not, the
//! caller reads the state again and repeats the verb.

use crate::{
    decide::Case,
    holder::Holder,
    license::{ExpiryBasis, License},
    limits::MAX_REMEMBERED,
    name::Label,
    request::Change,
    state::{AppliedOperation, Counter, Operation, Seat, State, Used},
    terms::{Allowance, SeatPolicy},
    time::Timestamp,
    verdict::{Effect, Verdict},
};

use alloc::vec::Vec;

/// Decides whether the program may run. Changes the state only to start the licence's time.
pub fn validate(case: &Case, state: &mut State, now: Timestamp) -> Verdict {
    if case.license.expiry_basis == ExpiryBasis::Issue || state.begun_at.is_some() {
        return case.decide(state, now);
    }
    attempt(case, state, now, |_| {})
}

/// Takes a seat. A holder that has one keeps it, and its lease is renewed.
pub fn activate(case: &Case, state: &mut State, now: Timestamp) -> Verdict {
    let case = &case.of_a_seat();
    attempt(case, state, now, |state| {
        let Some((policy, holder)) = seated(case) else { return };
        let found = case.seat(policy, state, now);
        if let Some(at) = found.filter(|at| state.seats[*at].is_live(now)) {
            return renew(&mut state.seats[at], policy, now);
        }
        let holder = found.map_or(holder, |at| state.seats.remove(at).holder);
        make_room(state, policy, now);
        let until = policy.lease_seconds.map(|seconds| now.plus_seconds(seconds));
        state.seats.push(Seat { holder, since: now, until });
    })
}

/// Renews the lease of a seat. One that has ended is renewed if the policy lets it revive and a
/// seat is free.
pub fn heartbeat(case: &Case, state: &mut State, now: Timestamp) -> Verdict {
    let case = &case.of_a_seat();
    attempt(case, state, now, |state| {
        let Some(policy) = &case.license.seat_policy else { return };
        let Some(at) = case.seat(policy, state, now) else { return };
        if state.seats[at].is_live(now) {
            return renew(&mut state.seats[at], policy, now);
        }
        if state.seats[at].until.is_some_and(|until| now < until.plus_seconds(policy.revive_seconds)) {
            // The seat goes behind those taken since.
            let mut seat = state.seats.remove(at);
            renew(&mut seat, policy, now);
            state.seats.push(seat);
        }
    })
}

/// Releases a seat, whether or not the licence is valid. Returns whether the seat was held.
///
/// Of a revoked licence no seat is released, and by its id only if holders manage all seats.
pub fn deactivate(case: &Case, state: &mut State, now: Timestamp) -> bool {
    let Some(policy) = case.license.seat_policy.filter(|_| !case.license.is_revoked()) else { return false };
    let at = match case.request.activation() {
        Some(id) => state.seats.iter().position(|seat| seat.holder.activation_id() == id && case.manages_all_seats()),
        None => case.seat(&policy, state, now),
    };
    at.is_some_and(|at| state.seats.remove(at).is_live(now))
}

/// Consumes or returns some of an allowance, or reads what is left.
///
/// At most what was used is returned, also if the licence is no longer valid, unless it is revoked.
/// An `operation` that was already applied, as the state remembers or `earlier` says, changes
/// nothing.
///
/// # Errors
///
/// - [`ChangeError::KeyReused`]: the idempotency key was used for another request.
/// - [`ChangeError::NotReturned`]: only the vendor returns usage of the allowance.
pub fn usage(
    case: &Case,
    state: &mut State,
    operation: Option<Operation>,
    earlier: Option<AppliedOperation>,
    now: Timestamp,
) -> Result<UsageOutcome, ChangeError> {
    let Case { license, request, .. } = *case;
    if license.is_revoked() {
        return Ok(UsageOutcome { verdict: case.decide(state, now), effect: Effect::default() });
    }
    if let Some(operation) = operation {
        let mut recent = state.applied.iter().chain(&earlier).filter(|applied| applied.is_remembered(now));
        match recent.find(|applied| applied.operation.id == operation.id) {
            Some(applied) if applied.operation != operation => return Err(ChangeError::KeyReused),
            Some(_) => {
                let effect = Effect { is_applied: true, is_repeat: true };
                return Ok(UsageOutcome { verdict: case.decide(state, now), effect });
            }
            None => {}
        }
    }
    let allowance = license.allowances.iter().find(|allowance| Some(&allowance.name) == request.allowance());
    let (is_applied, verdict) = match (request.change(), allowance) {
        (Some(Change::Return(_)), Some(allowance)) if !allowance.is_returned_by_holders() => {
            return Err(ChangeError::NotReturned);
        }
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
        // Forgets an expired one with this id. If the clock went back, it would be found instead of
        // this one.
        state.applied.retain(|applied| applied.operation.id != operation.id);
        if state.applied.len() >= MAX_REMEMBERED {
            state.applied.remove(0);
        }
        state.applied.push(AppliedOperation { operation, at: now });
    }
    Ok(UsageOutcome { verdict, effect: Effect { is_applied, is_repeat: false } })
}

/// The outcome of [`usage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageOutcome {
    /// The verdict, with what is left now.
    pub verdict: Verdict,
    /// What the request did; nothing if it only reads.
    pub effect: Effect,
}

/// Why a change of an allowance was not considered. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The idempotency key was already used for another request.
    #[error("the idempotency key was already used for a different request")]
    KeyReused,
    /// Holders may not return what was used of the allowance.
    #[error("only the vendor returns usage of this allowance")]
    NotReturned,
}

/// Decides on the outcome of a change, and makes the change if the verdict is valid.
fn attempt(case: &Case, state: &mut State, now: Timestamp, change: impl FnOnce(&mut State)) -> Verdict {
    let mut changed = state.clone();
    let begins = match case.license.expiry_basis {
        ExpiryBasis::Issue => false,
        ExpiryBasis::FirstValidation => true,
        // The licence is not valid for a holder without a seat.
        ExpiryBasis::FirstActivation => case.holder.is_some(),
    };
    if begins {
        changed.begun_at.get_or_insert(now);
    }
    // After the beginning, with which periods of allowances may begin.
    change(&mut changed);
    let verdict = case.decide(&changed, now);
    if verdict.is_valid() {
        *state = changed;
        return verdict;
    }
    Verdict { code: verdict.code, warnings: Vec::new(), grace: false, ..case.decide(state, now) }
}

/// Changes an allowance's counter, and removes those of allowances that the licence no longer has.
/// So there are never more counters than allowances.
fn count(license: &License, state: &mut State, allowance: &Allowance, now: Timestamp, change: impl FnOnce(u64) -> u64) {
    let Used { used, period, .. } = state.used(license, allowance, now);
    let is_kept = |name: &Label| *name != allowance.name && license.allowances.iter().any(|each| each.name == *name);
    state.counters.retain(|counter| is_kept(&counter.name));
    state.counters.push(Counter { name: allowance.name.clone(), used: change(used), period });
}

/// The licence's seat policy and the request's holder, if there are both.
fn seated<'a>(case: &Case<'a>) -> Option<(&'a SeatPolicy, Holder)> {
    case.license.seat_policy.as_ref().zip(case.holder)
}

/// Renews a lease. It never ends earlier than before, even if the clock went back.
fn renew(seat: &mut Seat, policy: &SeatPolicy, now: Timestamp) {
    let until = policy.lease_seconds.map(|seconds| now.plus_seconds(seconds));
    seat.until = until.map(|until| seat.until.map_or(until, |earlier| earlier.max(until)));
}

/// Removes seats whose lease has ended, oldest first, until one more can be taken. So a record
/// never has more seats than can be taken, whatever the clock says.
fn make_room(state: &mut State, policy: &SeatPolicy, now: Timestamp) {
    while state.seats.len() >= policy.ceiling() {
        let lapsed = state.seats.iter().enumerate().filter(|(_, seat)| !seat.is_live(now));
        let Some((at, _)) = lapsed.min_by_key(|(_, seat)| seat.until) else { return };
        state.seats.remove(at);
    }
}
