//! The decision on a request: a function of the licence, its usage state, the request and a moment.

use crate::{
    domain::Domain,
    holder::{Holder, Per},
    license::{ExpiryBasis, ExpiryStrategy, License, Requirement, Status},
    request::Request,
    state::{Seat, State, Used},
    terms::{Manage, SeatPolicy},
    time::Timestamp,
    verdict::{Code, Occupancy, Remaining, Verdict, Warning},
};
use alloc::vec::Vec;

/// A licence, a request with its key, and the holder that the request names.
///
/// ```
/// # use countersign::{decide::Case, license::License, request::{Request, Verb}, state::State};
/// # use countersign::{time::Timestamp, verdict::Code};
/// # let record = br#"{"format":1,"generation":1,"id":"lic_00000000000000000000000000","product":"acme",
/// #     "status":"suspended","plan":"pro","issuedAt":"2026-01-01T00:00:00Z","features":[],"domains":[],"requires":[]}"#;
/// # let license = License::from_json(record)?;
/// # let request = Request::from_json(Verb::Validate, br#"{"key":"an existing key"}"#)?;
/// let case = Case::new(&license, &request);
/// assert!(!case.needs_state()); // otherwise, read the licence's state
/// let verdict = case.decide(&State::default(), Timestamp::parse("2026-06-01T00:00:00Z")?);
/// assert_eq!(verdict.code(), Code::Suspended);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub(crate) license: &'a License,
    pub(crate) request: &'a Request,
    /// Hashed once for each request. `None` if the licence does not count seats, or the request
    /// does not name a holder.
    pub(crate) holder: Option<Holder>,
    /// [`Request::untrimmed_holder`], a rare one.
    untrimmed: Option<Holder>,
    /// Whether a licence that counts seats refuses the request without a holder.
    needs_holder: bool,
    /// Whether the request's domain takes no seat.
    is_uncounted: bool,
}

impl<'a> Case<'a> {
    /// The case of a request that has this licence's key.
    pub fn new(license: &'a License, request: &'a Request) -> Self {
        let policy = license.seat_policy.as_ref();
        let domain = request.domain().filter(|_| policy.is_some_and(|policy| policy.per == Per::Domain));
        let is_uncounted = |domain: &Domain| license.uncounted_domains.iter().any(|name| name.covers(domain));
        let ignores_www = policy.is_some_and(|policy| policy.ignore_www) && !license.uncounted_domains.is_empty();
        let is_uncounted = domain.is_some_and(|domain| {
            is_uncounted(domain) || ignores_www && domain.without_www().is_some_and(|bare| is_uncounted(&bare))
        });
        let holder = match (policy, domain) {
            _ if is_uncounted => None,
            (Some(policy), Some(domain)) => Some(policy.holder_of_domain(&license.id, domain)),
            (policy, _) => policy.and_then(|policy| request.holder(policy.per, &license.id)),
        };
        let untrimmed = policy.and_then(|policy| request.untrimmed_holder(policy.per, &license.id));
        let needs_holder = policy.is_some_and(|policy| policy.strict);
        Self { license, request, holder, untrimmed, needs_holder, is_uncounted }
    }

    /// The case of a request for a seat, which no holder takes without a name.
    pub(crate) fn of_a_seat(self) -> Self {
        Self { needs_holder: true, ..self }
    }

    /// The index of the holder's seat.
    pub(crate) fn seat(&self, policy: &SeatPolicy, state: &State, now: Timestamp) -> Option<usize> {
        let find = |holder: &Option<Holder>| state.find(holder.as_ref()?, policy.sameness(), now);
        find(&self.holder).or_else(|| find(&self.untrimmed))
    }

    /// Whether the decision depends on the licence's state. If not, decide with [`State::default`].
    pub fn needs_state(&self) -> bool {
        let Self { license, request, .. } = *self;
        let begins_with_use = license.expiry_basis != ExpiryBasis::Issue;
        !license.is_revoked() && (begins_with_use || request.allowance().is_some() || self.holder.is_some())
    }

    /// Whether the holder may list and release all seats, and not only its own.
    pub fn manages_all_seats(&self) -> bool {
        self.license.seat_policy.is_none_or(|policy| policy.managed() == Manage::All)
    }

    /// The taken seats that the holder may list, in the order in which they were taken.
    pub fn seats(&self, state: &State, now: Timestamp) -> Vec<Seat> {
        let Some(policy) = self.license.seat_policy else { return Vec::new() };
        let own = [self.holder, self.untrimmed];
        let is_own = |seat: &Seat| own.iter().flatten().any(|holder| seat.holder.is(holder, policy.sameness()));
        let is_listed = |seat: &&Seat| seat.is_live(now) && (self.manages_all_seats() || is_own(seat));
        state.seats.iter().filter(is_listed).copied().collect()
    }

    /// Decides at the moment `now`.
    pub fn decide(&self, state: &State, now: Timestamp) -> Verdict {
        let Self { license, request, .. } = *self;
        if license.is_revoked() {
            return Verdict::REVOKED;
        }
        let findings = Findings::of(self, state, now);
        let code = findings.reasons(self).next().unwrap_or(Code::Valid);
        let mut verdict = Verdict {
            code,
            expires_at: license.ends_at(state.begun_at),
            grace: false,
            warnings: Vec::new(),
            seat: None,
            seats: None,
            remaining: None,
            stale_seconds: None,
        };
        if let Standing::Held { seat, .. } | Standing::Lapsed(seat) = findings.standing {
            verdict.seat = Some(*seat);
        }
        if !matches!(findings.standing, Standing::Nameless(_) | Standing::Unchecked) {
            verdict.seats = occupancy(license, state, now);
        }
        if code == Code::Valid {
            let Findings { term, standing, ref remaining, .. } = findings;
            verdict.grace = term == Term::Grace;
            let over_seats = matches!(standing, Standing::Held { place, policy, .. } if place >= policy.limit as usize);
            let over_usage = remaining
                .as_ref()
                .is_some_and(|remaining| remaining.used + u64::from(request.needs_remaining()) > remaining.limit);
            let per = license.seat_policy.map(|policy| policy.per);
            let warnings = [
                (Warning::ExpiredAllowed, term == Term::Allowed),
                (Warning::ExpiredMaintained, term == Term::Maintained),
                (Warning::ActivationsOverLimit, over_seats),
                (Warning::UsageOverLimit, over_usage),
                (
                    Warning::UserNotChecked,
                    request.user().is_some() && per != Some(Per::User) && license.users.is_empty(),
                ),
            ];
            verdict.warnings.extend(warnings.into_iter().filter_map(|(warning, holds)| holds.then_some(warning)));
        }
        Verdict { remaining: findings.remaining, ..verdict }
    }

    /// Every reason to refuse, in order of precedence: a verdict reports the first.
    ///
    /// A field that the request does not send is a reason only if the licence requires it.
    pub fn reasons(&self, state: &State, now: Timestamp) -> impl Iterator<Item = Code> + use<> {
        Findings::of(self, state, now).reasons(self)
    }
}

/// How many seats a licence has and how many are taken; `None` if it does not count seats.
pub fn occupancy(license: &License, state: &State, now: Timestamp) -> Option<Occupancy> {
    let used = state.seats.iter().filter(|seat| seat.is_live(now)).count() as u32;
    license.seat_policy.map(|policy| Occupancy { limit: policy.limit, used })
}

/// What is true of a case at a moment.
struct Findings<'a> {
    is_early: bool,
    term: Term,
    standing: Standing<'a>,
    /// Of the allowance that the request names; `None` if the licence does not have it.
    remaining: Option<Remaining>,
}

impl<'a> Findings<'a> {
    fn of(case: &Case<'a>, state: &'a State, now: Timestamp) -> Self {
        let Case { license, request, .. } = *case;
        let name = request.allowance();
        let allowance = license.allowances.iter().find(|allowance| Some(&allowance.name) == name);
        Self {
            is_early: license.not_before.is_some_and(|not_before| now < not_before),
            term: Term::of(license, state, request, now),
            standing: Standing::of(case, state, now),
            remaining: allowance.map(|allowance| {
                let Used { used, resets_at, .. } = state.used(license, allowance, now);
                Remaining {
                    name: allowance.name.clone(),
                    limit: allowance.limit,
                    ceiling: allowance.ceiling(),
                    used,
                    resets_at,
                }
            }),
        }
    }

    fn reasons(&self, case: &Case) -> impl Iterator<Item = Code> + use<> {
        let Case { license, request, .. } = *case;
        let Self { term, standing, .. } = *self;
        let requires = |field| license.requires.contains(&field);

        let is_other_product = match request.product() {
            Some(product) => *product != license.product,
            None => requires(Requirement::Product),
        };
        let is_bound = !license.domains.is_empty() || requires(Requirement::Domain);
        let lacks_domain = request.domain().is_none() && (is_bound || standing == Standing::Nameless(Per::Domain));
        let is_elsewhere = request.domain().is_some_and(|domain| {
            !license.domains.is_empty() && !license.domains.iter().any(|entry| entry.covers(domain))
        });
        let is_for_some = !license.users.is_empty();
        let lacks_user = request.user().is_none() && (is_for_some || standing == Standing::Nameless(Per::User));
        let is_other_user = request.user().is_some_and(|user| is_for_some && !license.users.contains(user));
        let is_other_version = match request.version() {
            Some(version) => license.versions.as_ref().is_some_and(|versions| !versions.covers(version)),
            None => requires(Requirement::Version),
        };
        let lacks_feature = !request.features().iter().all(|feature| license.features.contains(feature));
        let is_over_limit = matches!(standing, Standing::Held { place, policy, .. } if place >= policy.ceiling());
        let lacks_allowance = request.allowance().is_some() && self.remaining.is_none();
        let is_used_up = self
            .remaining
            .as_ref()
            .is_some_and(|remaining| remaining.used + u64::from(request.needs_remaining()) > remaining.ceiling);

        [
            (Code::Revoked, license.is_revoked()),
            (Code::Suspended, license.status == Status::Suspended),
            (Code::NotYetValid, self.is_early),
            (Code::Expired, term == Term::Ended),
            (Code::ProductMismatch, is_other_product),
            (Code::DomainRequired, lacks_domain),
            (Code::DomainMismatch, is_elsewhere),
            (Code::FingerprintRequired, standing == Standing::Nameless(Per::Machine)),
            (Code::UserRequired, lacks_user),
            (Code::UserMismatch, is_other_user),
            (Code::NotActivated, standing == Standing::Absent),
            (Code::LeaseExpired, matches!(standing, Standing::Lapsed(_))),
            (Code::VersionNotCovered, is_other_version || term == Term::ReleasedLater),
            (Code::FeatureMissing, lacks_feature),
            (Code::AllowanceMissing, lacks_allowance),
            (Code::TooManyActivations, is_over_limit),
            (Code::UsageExhausted, is_used_up),
        ]
        .into_iter()
        .filter_map(|(code, holds)| holds.then_some(code))
    }
}

/// The caller's relation to the licence's seats.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing<'a> {
    /// The licence does not count seats.
    Uncounted,
    /// The licence counts seats, and the request does not name a holder, as it must.
    Nameless(Per),
    /// The licence counts seats, and the request does not name a holder, which it need not, or a
    /// domain that takes no seat.
    Unchecked,
    /// Holds no seat.
    Absent,
    /// Holds a seat whose lease has ended.
    Lapsed(&'a Seat),
    /// Holds a seat; `place` counts the live seats taken before it.
    Held { seat: &'a Seat, place: usize, policy: &'a SeatPolicy },
}

impl<'a> Standing<'a> {
    fn of(case: &Case<'a>, state: &'a State, now: Timestamp) -> Self {
        let Some(policy) = &case.license.seat_policy else { return Self::Uncounted };
        if case.holder.is_none() {
            let is_refused = case.needs_holder && !case.is_uncounted;
            return if is_refused { Self::Nameless(policy.per) } else { Self::Unchecked };
        }
        let Some(at) = case.seat(policy, state, now) else { return Self::Absent };
        let seat = &state.seats[at];
        if !seat.is_live(now) {
            return Self::Lapsed(seat);
        }
        Self::Held { seat, place: state.seats[..at].iter().filter(|seat| seat.is_live(now)).count(), policy }
    }
}

/// The part of a licence's term that a moment is in, under its expiry strategy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Term {
    /// Before expiry.
    Running,
    /// In the grace period after expiry.
    Grace,
    /// After grace; the strategy allows it.
    Allowed,
    /// After grace; maintained, with a version released before expiry.
    Maintained,
    /// After grace; maintained, with a version released after expiry, which is not covered.
    ReleasedLater,
    /// After grace; not valid.
    Ended,
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
        match (license.expiry_strategy, request.released_at()) {
            (ExpiryStrategy::Allow, _) => Self::Allowed,
            (ExpiryStrategy::Maintain | ExpiryStrategy::MaintainUndated, Some(released_at)) => {
                if released_at < expires_at { Self::Maintained } else { Self::ReleasedLater }
            }
            (ExpiryStrategy::MaintainUndated, None) => Self::Maintained,
            (ExpiryStrategy::Maintain, None) | (ExpiryStrategy::Restrict, _) => Self::Ended,
        }
    }
}
