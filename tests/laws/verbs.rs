//! Laws of the verbs: what they may make of a licence's state.

use crate::generators::*;
use countersign::{
    holder::Matching,
    license::License,
    limits::REMEMBER_SECONDS,
    request::{Change, Request},
    state::State,
    time::Timestamp,
    transitions::{activate, deactivate, heartbeat, usage, validate},
    verdict::Verdict,
};
use proptest::{prelude::*, sample::select};

type Act = for<'a> fn(&'a License, &mut State, &Request, Timestamp) -> Verdict<'a>;

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
        let verdict = act(&license, &mut after, &request, now);
        prop_assert!(verdict.is_valid() || (after == before && verdict.warnings.is_empty() && !verdict.grace));
    }

    #[test]
    fn there_are_never_more_seats_than_can_be_taken(
        license in open_licenses(), before in states(), request in open_requests(), act in select(&ACTS[..]),
        now in moments(), other in moments(),
    ) {
        let ceiling = license.activation.map_or(0, |activation| activation.ceiling());
        let mut after = before.clone();
        act(&license, &mut after, &request, now);
        prop_assert!(after.seats.len() <= ceiling.max(before.seats.len()));
        prop_assert!(live(&after, now) <= ceiling.max(live(&before, now)));
        // Wherever the clock goes from here.
        prop_assert!(live(&after, other) <= ceiling.max(before.seats.len()));
    }

    #[test]
    fn what_is_activated_is_valid(
        license in open_licenses(), mut state in states(), request in open_requests(), now in moments(),
    ) {
        // The last moment that can be written leaves no time to a lease.
        prop_assume!(now < Timestamp::MAX);
        let verdict = activate(&license, &mut state, &request, now);
        let after = state.clone();
        if verdict.is_valid() {
            prop_assert_eq!(&validate(&license, &mut state, &request, now), &verdict);
            prop_assert_eq!(&activate(&license, &mut state, &request, now), &verdict);
            prop_assert_eq!(&heartbeat(&license, &mut state, &request, now), &verdict);
            prop_assert_eq!(state, after);
        }
    }

    #[test]
    fn a_lease_is_never_shortened_nor_longer_than_the_policy_says(
        license in open_licenses(), before in states(), request in open_requests(), act in select(&ACTS[..]),
        now in moments(),
    ) {
        let lease = license.activation.and_then(|activation| activation.lease_seconds);
        let mut after = before.clone();
        act(&license, &mut after, &request, now);
        for (earlier, later) in before.seats.iter().flat_map(|seat| after.seats.iter().map(move |other| (seat, other))) {
            if let (Some(earlier_until), Some(until), true) = (earlier.until, later.until, earlier.holder == later.holder) {
                let renewed = lease.map(|seconds| now.plus_seconds(seconds));
                prop_assert!(until >= earlier_until && (until == earlier_until || Some(until) == renewed));
            }
        }
    }

    #[test]
    fn a_time_begins_once(
        license in licenses(), before in states(), request in requests(), act in select(&ACTS[..]), now in moments(),
    ) {
        let mut after = before.clone();
        let verdict = act(&license, &mut after, &request, now);
        let begins = verdict.is_valid() && license.duration_seconds.is_some();
        prop_assert_eq!(after.begun_at, before.begun_at.or(begins.then_some(now)));
    }

    #[test]
    fn what_is_given_back_is_gone(
        mut license in open_licenses(), before in states(), request in open_requests(), now in moments(),
    ) {
        license.activation.iter_mut().for_each(|activation| activation.matching = Matching::All);
        let mut after = before.clone();
        let was_valid = license.activation.is_some() && validate(&license, &mut after, &request, now).is_valid();
        let was_held = deactivate(&license, &mut after, &request, now);
        prop_assert!(was_held || !was_valid);
        prop_assert!(before.seats.len() - after.seats.len() <= 1);
        let once = after.clone();
        prop_assert!(!deactivate(&license, &mut after, &request, now));
        prop_assert_eq!(after, once);
    }

    #[test]
    fn usage_stays_within_its_bounds(
        license in open_licenses(), before in states(), request in uses(), now in moments(),
    ) {
        let mut after = before.clone();
        let used = usage(&license, &mut after, &request, None, None, now);
        let used = used.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let allowance = license.allowances.iter().find(|allowance| Some(&allowance.name) == request.allowance.as_ref());
        let Some(allowance) = allowance else {
            prop_assert!(!used.is_applied && !used.verdict.is_valid() && after == before);
            return Ok(());
        };
        let ((earlier, _), (later, _)) = (before.used(allowance, now), after.used(allowance, now));
        let expected = match request.change {
            Some(Change::Consume(amount)) if used.is_applied => earlier + amount,
            Some(Change::Return(amount)) => earlier.saturating_sub(amount),
            _ => earlier,
        };
        prop_assert_eq!(later, expected);
        prop_assert!(later <= allowance.ceiling().max(earlier));
        prop_assert_eq!(used.verdict.left.as_ref().map(|left| left.used), Some(later));
        prop_assert_eq!(&after.seats, &before.seats);
        // The others are as they were.
        for other in license.allowances.iter().filter(|other| other.name != allowance.name) {
            prop_assert_eq!(after.used(other, now), before.used(other, now));
        }
        prop_assert!(used.verdict.is_valid() || used.is_applied || after == before);
        prop_assert!(after.counters.len() <= license.allowances.len().max(before.counters.len()));
    }

    #[test]
    fn a_repetition_has_no_effect(
        license in open_licenses(), mut state in states(), request in uses(), operation in operations(),
        now in moments(), later in 0u32..REMEMBER_SECONDS,
    ) {
        prop_assume!(request.change.is_some() && now.plus_seconds(later) < Timestamp::MAX);
        let first = usage(&license, &mut state, &request, Some(operation), None, now);
        if first.is_ok_and(|used| used.is_applied) {
            let after = state.clone();
            let again = usage(&license, &mut state, &request, Some(operation), None, now.plus_seconds(later));
            prop_assert!(again.is_ok_and(|used| used.is_applied));
            prop_assert_eq!(state, after);
        }
    }
}
