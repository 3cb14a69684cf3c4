//! The decision: one licence, what has become of it, one request, one moment.

use crate::{
    holder::Per,
    license::{ExpiryStrategy, License, Requirement, Status},
    request::Request,
    state::{Seat, State},
    terms::SeatPolicy,
    time::Timestamp,
    verdict::{Code, Left, Occupancy, Verdict, Warning},
};
use alloc::vec::Vec;

/// The verdict on a request, given what was found under the hash of its key.
pub fn judge<'a>(found: Option<&'a License>, state: &State, request: &Request, now: Timestamp) -> Verdict<'a> {
    match (&request.key, found) {
        (None, _) => Verdict::MALFORMED_KEY,
        (Some(_), None) => Verdict::NOT_FOUND,
        (Some(_), Some(license)) => decide(license, state, request, now),
    }
}

/// Whether the decision depends on what has become of the licence. If not, an empty [`State`] stands for any.
pub fn needs_state(license: &License, request: &Request) -> bool {
    license.duration_seconds.is_some()
        || request.allowance.is_some()
        || license.activation.is_some_and(|activation| request.holder(activation.per, &license.id).is_some())
}

/// Weighs a request against the licence that its key names, at the moment `now`.
pub fn decide<'a>(license: &'a License, state: &State, request: &Request, now: Timestamp) -> Verdict<'a> {
    let case = Case::of(license, state, request, now);
    let code = case.reasons().next().unwrap_or(Code::Valid);
    let mut verdict = Verdict {
        code,
        license: Some(license),
        expires_at: license.ends_at(state.begun_at),
        grace: false,
        warnings: Vec::new(),
        seat: None,
        seats: None,
        left: None,
    };
    if let Standing::Held { seat, .. } | Standing::Lapsed(seat) = case.standing {
        verdict.seat = Some(*seat);
    }
    if !matches!(case.standing, Standing::Nameless(_)) {
        verdict.seats = occupancy(license, state, now);
    }
    if code == Code::Valid {
        verdict.grace = case.term == Term::Grace;
        let over_seats =
            matches!(case.standing, Standing::Held { place, activation, .. } if place >= activation.limit as usize);
        let over_usage = case.left.as_ref().is_some_and(|left| left.used + request.wants > left.limit);
        let warnings = [
            (Warning::ExpiredAllowed, case.term == Term::Allowed),
            (Warning::ExpiredMaintained, case.term == Term::Maintained),
            (Warning::ActivationsOverLimit, over_seats),
            (Warning::UsageOverLimit, over_usage),
        ];
        verdict.warnings.extend(warnings.into_iter().filter_map(|(warning, holds)| holds.then_some(warning)));
    }
    Verdict { left: case.left, ..verdict }
}

/// Every reason to refuse that holds, in the order that decides: of several, the first is reported.
///
/// A field that the request does not send is no reason, unless the licence requires it.
pub fn reasons(license: &License, state: &State, request: &Request, now: Timestamp) -> impl Iterator<Item = Code> {
    Case::of(license, state, request, now).reasons()
}

/// How many seats the licence has and how many are taken; nothing where it counts none.
pub fn occupancy(license: &License, state: &State, now: Timestamp) -> Option<Occupancy> {
    let used = state.seats.iter().filter(|seat| seat.is_live(now)).count();
    license.activation.map(|activation| Occupancy { limit: activation.limit, used })
}

/// A licence and a request, and what comes of the two at a moment.
struct Case<'a> {
    license: &'a License,
    request: &'a Request,
    is_early: bool,
    term: Term,
    standing: Standing<'a>,
    /// What is left of the allowance that the request names, if the licence has it.
    left: Option<Left>,
}

impl<'a> Case<'a> {
    fn of(license: &'a License, state: &'a State, request: &'a Request, now: Timestamp) -> Self {
        let name = request.allowance.as_ref();
        let allowance = license.allowances.iter().find(|allowance| Some(&allowance.name) == name);
        Self {
            license,
            request,
            is_early: license.not_before.is_some_and(|not_before| now < not_before),
            term: Term::of(license, state, request, now),
            standing: Standing::of(license, state, request, now),
            left: allowance.map(|allowance| {
                let (used, period) = state.used(allowance, now);
                Left {
                    name: allowance.name.clone(),
                    limit: allowance.limit,
                    ceiling: allowance.ceiling(),
                    used,
                    resets_at: allowance.period.end(period),
                }
            }),
        }
    }

    fn reasons(&self) -> impl Iterator<Item = Code> + use<> {
        let Self { license, request, term, standing, .. } = *self;
        let requires = |field| license.requires.contains(&field);

        let is_other_product = match &request.product {
            Some(product) => *product != license.product,
            None => requires(Requirement::Product),
        };
        let is_bound = !license.domains.is_empty() || requires(Requirement::Domain);
        let lacks_domain = request.domain.is_none() && (is_bound || standing == Standing::Nameless(Per::Domain));
        let is_elsewhere = request.domain.as_ref().is_some_and(|domain| {
            !license.domains.is_empty() && !license.domains.iter().any(|entry| entry.covers(domain))
        });
        let is_other_version = match &request.version {
            Some(version) => license.versions.as_ref().is_some_and(|versions| !versions.covers(version)),
            None => requires(Requirement::Version),
        };
        let lacks_feature = !request.features.iter().all(|feature| license.features.contains(feature));
        let is_over = matches!(standing, Standing::Held { place, activation, .. } if place >= activation.ceiling());
        let is_used_up = request.allowance.is_some()
            && self.left.as_ref().is_none_or(|left| left.used.saturating_add(request.wants) > left.ceiling);

        [
            (Code::Revoked, license.status == Status::Revoked),
            (Code::Suspended, license.status == Status::Suspended),
            (Code::NotYetValid, self.is_early),
            (Code::Expired, term == Term::Over),
            (Code::ProductMismatch, is_other_product),
            (Code::DomainRequired, lacks_domain),
            (Code::DomainMismatch, is_elsewhere),
            (Code::FingerprintRequired, standing == Standing::Nameless(Per::Machine)),
            (Code::UserRequired, standing == Standing::Nameless(Per::User)),
            (Code::NotActivated, standing == Standing::Absent),
            (Code::LeaseExpired, matches!(standing, Standing::Lapsed(_))),
            (Code::VersionNotCovered, is_other_version || term == Term::ReleasedLater),
            (Code::FeatureMissing, lacks_feature),
            (Code::TooManyActivations, is_over),
            (Code::UsageExhausted, is_used_up),
        ]
        .into_iter()
        .filter_map(|(code, holds)| holds.then_some(code))
    }
}

/// How who asks stands to the licence's seats.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing<'a> {
    /// The licence counts none.
    Uncounted,
    /// It does, and who asks does not say who that is.
    Nameless(Per),
    /// Without a seat.
    Absent,
    /// The lease is over.
    Lapsed(&'a Seat),
    /// In a seat, before which so many others were taken that are still held.
    Held { seat: &'a Seat, place: usize, activation: &'a SeatPolicy },
}

impl<'a> Standing<'a> {
    fn of(license: &'a License, state: &'a State, request: &Request, now: Timestamp) -> Self {
        let Some(activation) = &license.activation else { return Self::Uncounted };
        let Some(holder) = request.holder(activation.per, &license.id) else { return Self::Nameless(activation.per) };
        let Some(at) = state.find(&holder, activation.matching, now) else { return Self::Absent };
        let seat = &state.seats[at];
        if !seat.is_live(now) {
            return Self::Lapsed(seat);
        }
        Self::Held { seat, place: state.seats[..at].iter().filter(|seat| seat.is_live(now)).count(), activation }
    }
}

/// Where a moment lies in a licence's life, as its expiry strategy has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Term {
    /// Before expiry.
    Running,
    /// In the grace period after it.
    Grace,
    /// Past it, and allowed.
    Allowed,
    /// Past it, with a version released before it.
    Maintained,
    /// Past it, with a version released after it, which a maintained licence does not cover.
    ReleasedLater,
    /// Past it.
    Over,
}

impl Term {
    fn of(license: &License, state: &State, request: &Request, now: Timestamp) -> Self {
        let Some(expires_at) = license.ends_at(state.begun_at) else { return Self::Running };
        if now < expires_at {
            return Self::Running;
        }
        if now < expires_at.plus_seconds(license.grace_seconds) {
            return Self::Grace;
        }
        match (license.expiry_strategy, request.released_at) {
            (ExpiryStrategy::Allow, _) => Self::Allowed,
            (ExpiryStrategy::Maintain, Some(released_at)) if released_at < expires_at => Self::Maintained,
            (ExpiryStrategy::Maintain, Some(_)) => Self::ReleasedLater,
            (ExpiryStrategy::Maintain, None) | (ExpiryStrategy::Restrict, _) => Self::Over,
        }
    }
}
