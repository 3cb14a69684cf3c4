//! Values for the laws. There are few of each, so that they often coincide.

use countersign::{
    domain::{Domain, DomainRule, UncountedName},
    holder::{Fingerprint, Holder, Matching, Per},
    id::LicenseId,
    key::{Key, Prefix},
    license::{ExpiryBasis, ExpiryStrategy, Format, License, Requirement, Status},
    name::{Identifier, Label, Product},
    period::{Beginning, Period},
    request::{Request, Verb},
    span::Span,
    state::{AppliedOperation, Counter, Operation, Seat, State},
    terms::{Allowance, Manage, Overage, Returns, SeatPolicy},
    time::Timestamp,
    version::{Version, VersionRange},
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use serde_json::{Value, json};

/// The id of all generated licences.
pub(crate) fn license_id() -> LicenseId {
    LicenseId::generate([7; 16])
}

/// Values that parse from texts of this pattern.
pub(crate) fn of<T: std::str::FromStr + std::fmt::Debug>(pattern: &'static str) -> impl Strategy<Value = T> {
    pattern.prop_filter_map("malformed", |text| text.parse().ok())
}

prop_compose! {
    pub(crate) fn keys()(prefix in of::<Prefix>("[A-Z][A-Z0-9]{1,7}"), random in any::<[u8; 16]>()) -> Key {
        Key::generate(&prefix, random)
    }
}

// Most moments are close to each other, so that their order varies.
pub(crate) fn moments() -> impl Strategy<Value = Timestamp> {
    prop_oneof![(0i64..20).prop_map(Timestamp::from_unix), any::<i64>().prop_map(Timestamp::from_unix)]
}

pub(crate) fn domains() -> impl Strategy<Value = Domain> {
    of("(a|b|notexample)?(\\.?)example\\.(com|net)|192\\.0\\.2\\.[12]|localhost|\\[::[12]\\]")
}

pub(crate) fn rules() -> impl Strategy<Value = DomainRule> {
    of("(\\*\\.|a\\.)?example\\.(com|net)|192\\.0\\.2\\.[12]|localhost|::[12]")
}

pub(crate) fn versions() -> impl Strategy<Value = Version> {
    of("v?[0-3](\\.0?[0-3]){0,4}(-(rc|alpha)(\\.[0-9])?)?(\\+build)?")
}

fn seconds() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 1u32..10, 1 => 1u32..]
}

/// Durations of seconds and of months, often with both.
pub(crate) fn spans() -> impl Strategy<Value = Span> {
    let months = prop_oneof![2 => Just(0), 3 => 0u32..40, 1 => 0u32..=120_000];
    (months, prop_oneof![Just(0), seconds()]).prop_filter_map("nothing", |(months, seconds)| Span::new(months, seconds))
}

fn components() -> impl Strategy<Value = Vec<String>> {
    subsequence(vec!["a".to_owned(), "b".into(), "c".into()], 1..=3).prop_shuffle()
}

fn fingerprints() -> impl Strategy<Value = Fingerprint> {
    components().prop_map(|components| Fingerprint::parse(&components).unwrap())
}

fn overages() -> impl Strategy<Value = Overage> {
    prop_oneof![Just(Overage::None), Just(Overage::Always), (101u16..=1_000).prop_map(Overage::Percent)]
}

prop_compose! {
    pub(crate) fn seat_policies()(
        per in select(Per::ALL),
        limit in prop_oneof![4 => 1u32..4, 1 => Just(1_000)],
        overage in overages(),
        matching in select(Matching::ALL),
        lease_seconds in option::of(seconds()),
        revive_seconds in prop_oneof![Just(0), seconds()],
        (strict, manage) in (any::<bool>(), option::of(select(Manage::ALL))),
    ) -> SeatPolicy {
        let revive_seconds = lease_seconds.map_or(0, |_| revive_seconds);
        SeatPolicy { per, limit, overage, matching, lease_seconds, revive_seconds, strict, ignore_www: false, manage }
    }
}

/// Periods, and a beginning that they can have.
pub(crate) fn periods() -> impl Strategy<Value = (Period, Option<Beginning>)> {
    let lengths = prop_oneof![
        (1u32..40).prop_filter_map("a span", |months| Span::new(months, 0)),
        (1u32..40 * 86_400).prop_filter_map("a span", Span::of_seconds),
    ];
    let period = prop_oneof![
        select(vec![Period::Total, Period::Day, Period::Week, Period::Month, Period::Year]),
        lengths.prop_map(Period::Lasting),
    ];
    let beginning = option::of(prop_oneof![Just(Beginning::License), (1u8..=31).prop_map(Beginning::Day)]);
    (period, beginning).prop_map(|(period, begins)| (period, begins.filter(|begins| period.can_begin(Some(*begins)))))
}

prop_compose! {
    fn allowances()(
        names in subsequence(vec!["x", "y", "z"], 0..=3),
        limits in vec(prop_oneof![4 => 1u64..5, 1 => Just(1_000_000_000_000)], 3),
        periods in vec(periods(), 3),
        overages in vec(overages(), 3),
        returns in vec(option::of(select(Returns::ALL)), 3),
    ) -> Vec<Allowance> {
        let allowance = |(at, name): (usize, &&str)| {
            let (limit, (period, begins), overage, returns) = (limits[at], periods[at], overages[at], returns[at]);
            Allowance { name: name.parse().unwrap(), limit, period, begins, overage, returns }
        };
        names.iter().enumerate().map(allowance).collect()
    }
}

prop_compose! {
    pub(crate) fn licenses()(
        (generation, random_hint) in (any::<u64>(), option::of(of("[0-9A-Z]{4}"))),
        (product, plan) in (of::<Product>("acme(-pro)?"), of::<Label>("\\PC{1,8}")),
        status in select(Status::ALL),
        (issued_at, not_before, expires_at) in (moments(), option::of(moments()), option::of(moments())),
        (expiry_basis, duration) in (select(ExpiryBasis::ALL), spans().prop_map(Some)),
        renewal_day in option::of(1u8..=31),
        users in vec(of::<Identifier>("[uv]"), 0..2),
        uncounted_domains in vec(of::<UncountedName>("localhost|\\*\\.example\\.net|a\\.\\*"), 0..2),
        (expiry_strategy, grace_seconds) in (select(ExpiryStrategy::ALL), prop_oneof![0u32..10, any::<u32>()]),
        (features, domains) in (vec(of::<Label>("[abc]"), 0..4), vec(rules(), 0..3)),
        versions in option::of((option::of(versions()), option::of(versions()))),
        requires in vec(select(Requirement::ALL), 0..3),
        (seat_policy, allowances) in (option::of(seat_policies()), allowances()),
    ) -> License {
        let expiry_basis = match expiry_basis {
            ExpiryBasis::FirstActivation if seat_policy.is_none() => ExpiryBasis::FirstValidation,
            basis => basis,
        };
        let begins_later = expiry_basis != ExpiryBasis::Issue;
        License {
            format: Format, generation, id: license_id(), product, status, hint: random_hint, plan, issued_at,
            not_before, expires_at: expires_at.filter(|_| !begins_later), expiry_basis,
            duration_seconds: duration.filter(|span| begins_later && span.months() == 0).map(|span| span.seconds()),
            duration: duration.filter(|span| begins_later && span.months() > 0), renewal_day,
            expiry_strategy, grace_seconds, features, domains, users, uncounted_domains,
            versions: versions.map(|(from, below)| VersionRange { from, below }), requires, seat_policy, allowances,
        }
    }
}

/// Licences that nothing is to be said against but what their state says.
pub(crate) fn open_licenses() -> impl Strategy<Value = License> {
    licenses().prop_map(|license| License {
        status: Status::Active,
        not_before: None,
        expires_at: None,
        features: vec![],
        domains: vec![],
        users: vec![],
        versions: None,
        requires: vec![],
        ..license
    })
}

/// A request as it is sent, so that laws can change its fields.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) verb: Verb,
    pub(crate) body: Value,
}

impl Sent {
    pub(crate) fn read(&self) -> Request {
        Request::from_json(self.verb, self.body.to_string().as_bytes()).unwrap()
    }

    /// With these fields removed.
    fn without(mut self, names: &[&str]) -> Self {
        self.body.as_object_mut().unwrap().retain(|name, _| !names.contains(&name.as_str()));
        self
    }
}

prop_compose! {
    pub(crate) fn sent()(
        product in option::of("acme(-pro)?"),
        domain in option::of(domains()),
        version in option::of(versions()),
        released_at in option::of(moments()),
        features in vec("[abc]", 0..3),
        fingerprint in option::weighted(0.8, components()),
        user in option::weighted(0.8, "[uv]"),
        (allowance, needs_remaining) in (option::of("[xyz]"), any::<bool>()),
    ) -> Sent {
        let verb = if needs_remaining { Verb::Validate } else if allowance.is_some() { Verb::Usage } else { Verb::Activate };
        let mut body = json!({ "key": "a key from elsewhere" });
        let mut set = |name: &str, value: Option<Value>| value.map(|value| body[name] = value);
        set("product", product.map(Value::from));
        set("domain", domain.map(|domain| domain.to_string().into()));
        set("version", version.map(|version| version.to_string().into()));
        set("releasedAt", released_at.map(|released_at| released_at.to_string().into()));
        set("features", Some(features.into()).filter(|features| *features != json!([])));
        set("fingerprint", fingerprint.map(Value::from));
        set("user", user.map(Value::from));
        set("allowance", allowance.map(Value::from));
        Sent { verb, body }
    }
}

pub(crate) fn requests() -> impl Strategy<Value = Request> {
    sent().prop_map(|sent| sent.read())
}

/// Requests that an open licence does not refuse, except for its seats.
fn open() -> impl Strategy<Value = Sent> {
    sent().prop_map(|sent| sent.without(&["product", "version", "features", "allowance"]))
}

/// As [`open`], of a verb that needs nothing of an allowance.
pub(crate) fn open_requests() -> impl Strategy<Value = Request> {
    open().prop_map(|sent| Sent { verb: Verb::Activate, ..sent }.read())
}

/// Requests about an allowance.
pub(crate) fn uses() -> impl Strategy<Value = Request> {
    let amount = prop_oneof![4 => 1u64..5, 1 => Just(1_000_000_000)];
    let change = (select(&["consume", "return"][..]), amount);
    (open(), "[xyz]", option::weighted(0.9, change)).prop_map(|(mut sent, name, change)| {
        sent.verb = Verb::Usage;
        sent.body["allowance"] = name.into();
        if let Some((change, amount)) = change {
            sent.body[change] = amount.into();
        }
        sent.read()
    })
}

fn holders() -> impl Strategy<Value = Holder> {
    let named = |name: &str| Holder::named(&license_id(), name);
    prop_oneof![
        4 => fingerprints().prop_map(|fingerprint| fingerprint.holder(&license_id())),
        1 => "[uv]".prop_map(move |user| named(&user)),
        1 => domains().prop_map(move |domain| named(domain.as_str())),
    ]
}

prop_compose! {
    fn seats()(holder in holders(), since in moments(), until in option::weighted(0.7, moments())) -> Seat {
        Seat { holder, since, until }
    }
}

prop_compose! {
    fn counters()(
        names in subsequence(vec!["w", "x", "y", "z"], 0..=4),
        used in vec(prop_oneof![4 => 0u64..6, 1 => 0u64..1 << 53], 4),
        periods in vec(prop_oneof![Just(Timestamp::MIN), Just(Timestamp::from_unix(0)), moments()], 4),
    ) -> Vec<Counter> {
        let counter =
            |(at, name): (usize, &&str)| Counter { name: name.parse().unwrap(), used: used[at], period: periods[at] };
        names.iter().enumerate().map(counter).collect()
    }
}

pub(crate) fn operations() -> impl Strategy<Value = Operation> {
    (0u8..4, 0u64..2).prop_map(|(id, asked)| Operation { id: [id; 16], asked })
}

prop_compose! {
    /// States under any policies, in which no holder has two seats.
    pub(crate) fn states()(
        (generation, written_at, begun_at) in (any::<u64>(), option::of(moments()), option::of(moments())),
        seats in vec(seats(), 0..6),
        counters in counters(),
        applied in vec((operations(), moments()), 0..4),
    ) -> State {
        let mut state = State { generation, written_at, begun_at, counters, ..State::default() };
        for seat in seats {
            if state.seats.iter().all(|other| !other.holder.is(&seat.holder, Matching::All)) {
                state.seats.push(seat);
            }
        }
        state.applied = applied.into_iter().map(|(operation, at)| AppliedOperation { operation, at }).collect();
        state
    }
}
