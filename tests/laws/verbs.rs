//! Laws of the verbs: how they may change a licence's state.

use crate::generators::*;
use countersign::{
    decide::Case,
    holder::Matching,
    license::ExpiryBasis,
    limits::REMEMBER_SECONDS,
    request::{Change, Request, Verb},
    state::{Seat, State},
    terms::Manage,
    time::Timestamp,
    transitions::{ChangeError, activate, deactivate, heartbeat, usage, validate},
    verdict::Verdict,
};
use proptest::{prelude::*, sample::select};

type Act = fn(&Case, &mut State, Timestamp) -> Verdict;

const ACTS: [Act; 3] = [validate, activate, heartbeat];

fn live(state: &State, now: Timestamp) -> usize {
    state.seats.iter().filter(|seat| seat.is_live(now)).count()
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn a_refusal_changes_nothing(
        license in licenses(), before in states(), request in requests(), act in select(&ACTS[..]), now in moments(),
    ) {
        let mut after = before.clone();
        let verdict = act(&Case::new(&license, &request), &mut after, now);
        prop_assert!(verdict.is_valid() || (after == before && verdict.warnings().is_empty() && !verdict.grace()));
    }

    #[test]
    fn there_are_never_more_seats_than_can_be_taken(
        license in open_licenses(), before in states(), request in open_requests(), act in select(&ACTS[..]),
        now in moments(),
    ) {
        let ceiling = license.seat_policy.map_or(0, |policy| policy.ceiling());
        let mut after = before.clone();
        act(&Case::new(&license, &request), &mut after, now);
        prop_assert!(after.seats.len() <= ceiling.max(before.seats.len()));
        prop_assert!(live(&after, now) <= ceiling.max(live(&before, now)));

    }

    #[test]
    fn what_is_activated_is_valid(
        license in open_licenses(), mut state in states(), request in open_requests(), now in moments(),
    ) {
        // A lease from the last moment that can be written would end at once.
        prop_assume!(now < Timestamp::MAX);
        let case = Case::new(&license, &request);
        let verdict = activate(&case, &mut state, now);
        prop_assume!(verdict.is_valid());
        let after = state.clone();
        prop_assert_eq!(&validate(&case, &mut state, now), &verdict);
        prop_assert_eq!(&activate(&case, &mut state, now), &verdict);
        prop_assert_eq!(&heartbeat(&case, &mut state, now), &verdict);
        prop_assert_eq!(state, after);
    }

    #[test]
    fn a_lease_is_never_shortened_nor_longer_than_the_policy_says(
        license in open_licenses(), before in states(), request in open_requests(), act in select(&ACTS[..]),
        now in moments(),
    ) {
        let lease = license.seat_policy.and_then(|policy| policy.lease_seconds);
        let mut after = before.clone();
        act(&Case::new(&license, &request), &mut after, now);
        for (earlier, later) in before.seats.iter().flat_map(|seat| after.seats.iter().map(move |other| (seat, other))) {
            if let (Some(earlier_until), Some(until), true) = (earlier.until, later.until, earlier.holder == later.holder) {
                let renewed = lease.map(|seconds| now.plus_seconds(seconds));
                prop_assert!(until >= earlier_until && (until == earlier_until || Some(until) == renewed));
            }
        }
    }

    #[test]
    fn a_time_begins_once(
        mut license in licenses(), before in states(), request in requests(), act in select(&ACTS[..]), now in moments(),
    ) {
        // Such a name does not make a holder.
        license.uncounted_domains.clear();
        let mut after = before.clone();
        let verdict = act(&Case::new(&license, &request), &mut after, now);
        let names_a_holder = license.seat_policy.and_then(|policy| request.holder(policy.per, &license_id())).is_some();
        let can_begin = match license.expiry_basis {
            ExpiryBasis::Issue => false,
            ExpiryBasis::FirstValidation => true,
            ExpiryBasis::FirstActivation => names_a_holder,
        };
        let begins = verdict.is_valid() && can_begin;
        prop_assert_eq!(after.begun_at, before.begun_at.or(begins.then_some(now)));
    }

    #[test]
    fn a_released_seat_is_gone(
        mut license in open_licenses(), before in states(), request in open_requests(), now in moments(),
    ) {
        license.seat_policy.iter_mut().for_each(|policy| (policy.matching, policy.ignore_www) = (Matching::All, false));
        // Such a name takes no seat that could be released.
        license.uncounted_domains.clear();
        // Another seat may have all that the request names, and more.
        let holder = license.seat_policy.and_then(|policy| request.holder(policy.per, &license.id));
        let own = before.seats.iter().filter(|seat| holder.is_some_and(|holder| seat.holder.is(&holder, Matching::All)));
        prop_assume!(own.count() <= 1);
        let mut after = before.clone();
        let names_a_holder = license.seat_policy.and_then(|policy| request.holder(policy.per, &license_id())).is_some();
        let was_valid = names_a_holder && validate(&Case::new(&license, &request), &mut after, now).is_valid();
        let was_held = deactivate(&Case::new(&license, &request), &mut after, now);
        prop_assert!(was_held || !was_valid);
        prop_assert!(before.seats.len() - after.seats.len() <= 1);
        let once = after.clone();
        prop_assert!(!deactivate(&Case::new(&license, &request), &mut after, now));
        prop_assert_eq!(after, once);
    }

    #[test]
    fn a_holder_lists_and_releases_its_own_seat_alone_unless_holders_manage_all(
        license in open_licenses(), before in states(), request in open_requests(), at in any::<prop::sample::Index>(),
        now in moments(),
    ) {
        let Some(policy) = license.seat_policy else { return Ok(()) };
        let is_own = |seat: &Seat| {
            request.holder(policy.per, &license_id()).is_some_and(|holder| seat.holder.is(&holder, policy.matching))
        };
        let listed = Case::new(&license, &request).seats(&before, now);
        if policy.managed() == Manage::All {
            prop_assert_eq!(listed.len(), live(&before, now));
        } else {
            prop_assert!(listed.iter().all(is_own));
            prop_assume!(!before.seats.is_empty());
            let mut after = before.clone();
            let id = before.seats[at.index(before.seats.len())].holder.activation_id();
            let body = format!(r#"{{"key":"a key from elsewhere","activation":"{id}"}}"#);
            let request = Request::from_json(Verb::Deactivate, body.as_bytes());
            let request = request.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(!deactivate(&Case::new(&license, &request), &mut after, now));
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn usage_stays_within_its_bounds(
        license in open_licenses(), before in states(), request in uses(), now in moments(),
    ) {
        let mut after = before.clone();
        let used = usage(&Case::new(&license, &request), &mut after, None, None, now);
        let allowance = license.allowances.iter().find(|allowance| Some(&allowance.name) == request.allowance());
        if allowance.is_some_and(|allowance| !allowance.is_returned_by_holders())
            && matches!(request.change(), Some(Change::Return(_)))
        {
            prop_assert_eq!(used, Err(ChangeError::NotReturned));
            prop_assert_eq!(after, before);
            return Ok(());
        }
        let used = used.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let Some(allowance) = allowance else {
            prop_assert!(!used.effect.is_applied && !used.verdict.is_valid() && after == before);
            return Ok(());
        };
        let used_of = |state: &State, allowance| state.used(&license, allowance, now).used;
        let (earlier, later) = (used_of(&before, allowance), used_of(&after, allowance));
        let expected = match request.change() {
            Some(Change::Consume(amount)) if used.effect.is_applied => earlier + amount,
            Some(Change::Return(amount)) => earlier.saturating_sub(amount),
            _ => earlier,
        };
        prop_assert_eq!(later, expected);
        prop_assert!(later <= allowance.ceiling().max(earlier));
        prop_assert_eq!(used.verdict.remaining().map(|remaining| remaining.used), Some(later));
        prop_assert_eq!(&after.seats, &before.seats);
        // Other allowances do not change.
        for other in license.allowances.iter().filter(|other| other.name != allowance.name) {
            prop_assert_eq!(used_of(&after, other), used_of(&before, other));
        }
        prop_assert!(used.verdict.is_valid() || used.effect.is_applied || after == before);
        prop_assert!(after.counters.len() <= license.allowances.len().max(before.counters.len()));
    }

    #[test]
    fn a_repeated_operation_has_no_effect(
        license in open_licenses(), mut state in states(), request in uses(), operation in operations(),
        now in moments(), later in 0u32..REMEMBER_SECONDS,
    ) {
        prop_assume!(now.plus_seconds(later) < Timestamp::MAX);
        let case = Case::new(&license, &request);
        let first = usage(&case, &mut state, Some(operation), None, now);
        prop_assume!(first.is_ok_and(|used| used.effect.is_applied));
        let after = state.clone();
        let again = usage(&case, &mut state, Some(operation), None, now.plus_seconds(later));
        prop_assert!(again.is_ok_and(|used| used.effect.is_applied && used.effect.is_repeat));
        prop_assert_eq!(state, after);
    }
}
