//! Laws of the decision, in whatever state the licence is.

use crate::generators::*;
use countersign::{
    decide::Case,
    domain::DomainRule,
    holder::{Holder, Matching, Per},
    license::{ExpiryStrategy, License, Requirement, Status},
    limits::MAX_COUNTED,
    name::Label,
    request::Verb,
    state::{Counter, Seat, State},
    terms::{Overage, SeatPolicy},
    time::Timestamp,
    verdict::{Code, Warning},
    version::{Version, VersionRange},
};
use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::json;

/// The fields that name a machine or a user.
const HOLDERS: [&str; 2] = ["fingerprint", "user"];

/// How many ways [`tighten`] has.
const WAYS: usize = 29;

/// Adds a reason to refuse, or makes one that applies stronger.
fn tighten(license: &mut License, state: &mut State, sent: &mut Sent, how: usize) -> Result<(), TestCaseError> {
    let fail = |error: &str| TestCaseError::fail(error.to_owned());
    match how {
        0 => license.status = Status::Revoked,
        1 => license.status = Status::Suspended,
        2 => license.not_before = Some(Timestamp::MAX),
        3 => {
            (license.expires_at, license.duration_seconds, license.duration) = (Some(Timestamp::MIN), None, None);
            license.grace_seconds = 0;
        }
        4 => license.expiry_strategy = ExpiryStrategy::Restrict,
        5 => license.grace_seconds = 0,
        6 => sent.body["product"] = "other".into(),
        7 => license.domains = vec![DomainRule::parse("other.example").map_err(|_| fail("rule"))?],
        8 => license.versions = Some(VersionRange { from: Version::parse("99").ok(), below: None }),
        9 => sent.body["features"] = json!(["teleport"]),
        10 => license.features.clear(),
        11 => license.requires = Requirement::ALL.to_vec(),
        12 => {
            sent.body.as_object_mut().ok_or_else(|| fail("body"))?.retain(|name, _| !HOLDERS.contains(&name.as_str()));
            license.seat_policy.iter_mut().for_each(|policy| policy.strict = true);
        }
        13 => state.seats.clear(),
        14 => state.seats.iter_mut().for_each(|seat| seat.until = Some(Timestamp::MIN)),
        15 => {
            let holder = Holder::named(&license_id(), "somebody else");
            state.seats.insert(0, Seat { holder, since: Timestamp::MIN, until: None });
        }
        // Of the other ways none is stricter than another for every request.
        16 => license
            .seat_policy
            .iter_mut()
            .filter(|policy| policy.matching == Matching::Any)
            .for_each(|policy| policy.matching = Matching::All),
        17 => license.seat_policy.iter_mut().for_each(|policy| policy.overage = Overage::None),
        18 => license.seat_policy.iter_mut().for_each(|policy| policy.limit = 1),
        19 => license.allowances.iter_mut().for_each(|allowance| allowance.overage = Overage::None),
        20 => license.allowances.iter_mut().for_each(|allowance| allowance.limit = 1),
        21 => license.allowances.clear(),
        22 => {
            let used_up = |name: &str| {
                let name = Label::parse(name).map_err(|_| fail("label"))?;
                Ok(Counter { name, used: MAX_COUNTED, period: Timestamp::MAX })
            };
            state.counters = ["x", "y", "z"].map(used_up).into_iter().collect::<Result<_, TestCaseError>>()?;
        }
        23 => sent.verb = Verb::Validate,
        24 => state.begun_at = Some(Timestamp::MIN),
        25 => {
            license.seat_policy.get_or_insert(SeatPolicy {
                per: Per::User,
                limit: 1,
                overage: Overage::None,
                matching: Matching::All,
                lease_seconds: None,
                revive_seconds: 0,
                strict: true,
                ignore_www: false,
                manage: None,
            });
        }
        26 => license.users = vec!["nobody else".parse().map_err(|_| fail("user"))?],
        27 => license.uncounted_domains.clear(),
        _ => license.versions = Some(VersionRange { from: None, below: Version::parse("0.0.0-0").ok() }),
    }
    Ok(())
}

/// Reasons that time alone may remove: seats become free, and allowances are reset.
const PASSING: [Code; 3] = [Code::NotYetValid, Code::TooManyActivations, Code::UsageExhausted];

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn the_verdict_is_the_first_reason(
        license in licenses(), state in states(), request in requests(), now in moments(),
    ) {
        let verdict = Case::new(&license, &request).decide(&state, now);
        let all: Vec<_> = Case::new(&license, &request).reasons(&state, now).collect();
        prop_assert!(all.is_sorted());
        prop_assert_eq!(verdict.code(), all.first().copied().unwrap_or(Code::Valid));
        prop_assert!(verdict.is_valid() || (!verdict.grace() && verdict.warnings().is_empty()));
        let is_of_expiry = |warning: &Warning| matches!(warning, Warning::ExpiredAllowed | Warning::ExpiredMaintained);
        prop_assert!(!verdict.grace() || !verdict.warnings().iter().any(is_of_expiry));
    }

    #[test]
    fn a_state_that_is_not_needed_does_not_matter(
        license in licenses(), state in states(), request in requests(), now in moments(),
    ) {
        let case = Case::new(&license, &request);
        prop_assume!(!case.needs_state());
        prop_assert_eq!(case.decide(&state, now), case.decide(&State::default(), now));
    }

    #[test]
    fn a_reason_to_refuse_never_makes_a_verdict_valid(
        license in licenses(), state in states(), sent in sent(), now in moments(), how in 0..WAYS,
    ) {
        never_valid_for_more_reasons(license, state, sent, now, how)?;
    }

    #[test]
    fn a_reason_to_refuse_never_opens_a_licence(
        license in open_licenses(), state in states(), sent in sent(), now in moments(), how in 0..WAYS,
    ) {
        never_valid_for_more_reasons(license, state, sent, now, how)?;
    }

    #[test]
    fn a_later_now_never_un_expires(
        license in licenses(), state in states(), request in requests(), now in moments(), later in moments(),
    ) {
        let (now, later) = (now.min(later), now.max(later));
        let case = Case::new(&license, &request);
        prop_assume!(case.reasons(&state, now).any(|code| code == Code::Expired));
        prop_assert!(case.reasons(&state, later).any(|code| code == Code::Expired));
    }

    #[test]
    fn a_later_now_never_removes_a_lasting_reason(
        license in licenses(), state in states(), request in requests(), now in moments(), later in moments(),
    ) {
        let (now, later) = (now.min(later), now.max(later));
        let lasting = |moment| Case::new(&license, &request).reasons(&state, moment).any(|code| !PASSING.contains(&code));
        prop_assume!(lasting(now));
        prop_assert!(lasting(later));
    }
}

fn never_valid_for_more_reasons(
    mut license: License,
    mut state: State,
    mut sent: Sent,
    now: Timestamp,
    how: usize,
) -> Result<(), TestCaseError> {
    prop_assume!(!Case::new(&license, &sent.read()).decide(&state, now).is_valid());
    tighten(&mut license, &mut state, &mut sent, how)?;
    prop_assert!(!Case::new(&license, &sent.read()).decide(&state, now).is_valid());
    Ok(())
}
