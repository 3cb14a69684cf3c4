//! Seats, leases and usage once more, as plainly as they can be said: what the component is held against.

use std::collections::{BTreeMap, BTreeSet};

use countersign::time::Timestamp;
use serde_json::{Map, Value, json};

/// The components of a fingerprint, or the one name of a domain or user.
pub(crate) type Names = BTreeSet<&'static str>;

/// What the licence is called.
pub(crate) const ID: &str = "lic_00000000000000000000000000";

/// How long an operation is remembered by its idempotency key.
const DAY: i64 = 86_400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    Machine,
    Domain,
    User,
}

/// What is sold: the fields of the record that seats and usage depend on.
#[derive(Clone, Debug)]
pub(crate) struct Licence {
    pub(crate) seats: Option<Seats>,
    /// Of the one allowance, `credits`.
    pub(crate) limit: u64,
    pub(crate) period: &'static str,
    pub(crate) overage: &'static str,
    pub(crate) basis: &'static str,
    pub(crate) duration: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Seats {
    pub(crate) per: Per,
    pub(crate) limit: u32,
    pub(crate) overage: &'static str,
    pub(crate) matching: &'static str,
    pub(crate) lease: Option<u32>,
    pub(crate) revive: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Activate(Option<Names>),
    Heartbeat(Option<Names>),
    Deactivate(Option<Names>),
    /// By the id of a seat that was heard of before.
    DeactivateById(usize),
    /// Whether something of the allowance must be left.
    Validate(Option<Names>, bool),
    List,
    Read(Option<Names>),
    Use(Option<Names>, Change, Option<&'static str>),
    /// The vendor gives the licence another status.
    Become(&'static str),
    /// So many seconds pass; fewer than none where the clock goes back.
    Pass(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Consume(u64),
    Return(u64),
}

/// What has become of a licence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) status: &'static str,
    begun: Option<i64>,
    /// In the order in which they were taken.
    seats: Vec<Seat>,
    used: u64,
    /// The first second of the period in which that was used.
    period: Option<i64>,
    /// Which was applied under an idempotency key, and when.
    applied: BTreeMap<&'static str, (Change, i64)>,
    /// When any of this last changed.
    changed: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
struct Seat {
    names: Names,
    since: i64,
    until: Option<i64>,
}

/// What the model says that is answered.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) told: Value,
    /// Whose seat is told of.
    pub(crate) holder: Option<Names>,
}

/// The part of an answer that depends on what has become of the licence.
pub(crate) fn of_interest(status: u16, answer: &Value) -> Value {
    const FIELDS: [&str; 9] =
        ["valid", "code", "expiresAt", "warnings", "activation", "seats", "allowance", "applied", "deactivated"];
    let mut told: Map<String, Value> =
        FIELDS.into_iter().filter_map(|field| Some((field.into(), answer.get(field)?.clone()))).collect();
    if let Some(activation) = told.get_mut("activation") {
        activation.as_object_mut().unwrap().remove("id");
    }
    if let Some(allowance) = told.get_mut("allowance") {
        allowance.as_object_mut().unwrap().remove("name");
    }
    if let Some(activations) = answer.get("activations") {
        let seats = activations.as_array().unwrap().iter();
        told.insert("held".into(), seats.map(|seat| json!([seat["activatedAt"], seat["leaseEndsAt"]])).collect());
    }
    told.insert("status".into(), status.into());
    told.into()
}

impl Step {
    /// The verb, body and idempotency key; nothing where there is nothing to ask.
    pub(crate) fn request(
        &self,
        key: &str,
        licence: &Licence,
        ids: &BTreeMap<Names, String>,
    ) -> Option<(&'static str, Value, Option<&'static str>)> {
        let mut body = json!({ "key": key });
        let per = licence.seats.as_ref().map_or(Per::Machine, |seats| seats.per);
        if let Some(names) = self.who(licence) {
            match per {
                // In another order than they were taken with: that must not matter.
                Per::Machine => body["fingerprint"] = names.iter().rev().copied().collect(),
                Per::Domain => body["domain"] = format!("{}.example.com", String::from_iter(names)).into(),
                Per::User => body["user"] = String::from_iter(names).into(),
            }
        }
        let mut idempotency_key = None;
        let verb = match self {
            Self::Activate(_) => "activate",
            Self::Heartbeat(_) => "heartbeat",
            Self::Deactivate(None) | Self::Become(_) | Self::Pass(_) => return None,
            Self::Deactivate(_) => "deactivate",
            Self::DeactivateById(number) => {
                body["activation"] = ids.values().nth(number % ids.len().max(1))?.as_str().into();
                "deactivate"
            }
            Self::Validate(_, with_allowance) => {
                if *with_allowance {
                    body["allowance"] = "credits".into();
                }
                "validate"
            }
            Self::List => "activations",
            Self::Read(_) => {
                body["allowance"] = "credits".into();
                "usage"
            }
            Self::Use(_, change, key) => {
                body["allowance"] = "credits".into();
                match change {
                    Change::Consume(amount) => body["consume"] = (*amount).into(),
                    Change::Return(amount) => body["return"] = (*amount).into(),
                }
                idempotency_key = *key;
                "usage"
            }
        };
        Some((verb, body, idempotency_key))
    }

    /// Who asks. Domains and users have one name.
    fn who(&self, licence: &Licence) -> Option<Names> {
        let (Self::Activate(who)
        | Self::Heartbeat(who)
        | Self::Deactivate(who)
        | Self::Validate(who, _)
        | Self::Read(who)
        | Self::Use(who, ..)) = self
        else {
            return None;
        };
        let names = who.clone()?;
        let is_machine = licence.seats.as_ref().is_none_or(|seats| seats.per == Per::Machine);
        Some(if is_machine { names } else { names.into_iter().take(1).collect() })
    }
}

impl Licence {
    pub(crate) fn record(&self, status: &str) -> Value {
        let mut record = json!({
            "format": 1, "generation": 1, "id": ID, "product": "acme", "status": status,
            "plan": "pro", "issuedAt": "2026-01-01T00:00:00Z", "features": [], "domains": [], "requires": [],
            "allowances": [{ "name": "credits", "limit": self.limit, "period": self.period, "overage": self.overage }],
        });
        if self.basis != "issue" {
            record["expiryBasis"] = self.basis.into();
            record["durationSeconds"] = self.duration.into();
        }
        if let Some(Seats { per, limit, overage, matching, lease, revive }) = &self.seats {
            let per = ["machine", "domain", "user"][*per as usize];
            record["activation"] =
                json!({ "per": per, "limit": limit, "overage": overage, "match": matching, "reviveSeconds": revive });
            if let Some(lease) = lease {
                record["activation"]["leaseSeconds"] = (*lease).into();
            }
        }
        record
    }

    pub(crate) fn allowance_ceiling(&self) -> u64 {
        ceiling(self.limit, self.overage, u64::MAX)
    }
}

impl Seats {
    pub(crate) fn ceiling(&self) -> usize {
        ceiling(self.limit.into(), self.overage, 1_000) as usize
    }

    fn is(&self, held: &Names, asks: &Names) -> bool {
        let alike = held.intersection(asks).count();
        match self.matching {
            "all" => held == asks,
            "most" => alike * 2 > held.len(),
            "two" => alike >= 2 || alike == held.len(),
            _ => alike > 0,
        }
    }
}

fn ceiling(limit: u64, overage: &str, most: u64) -> u64 {
    match overage {
        "none" => limit,
        "150%" => limit * 3 / 2,
        _ => most,
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            status: "active",
            begun: None,
            seats: Vec::new(),
            used: 0,
            period: None,
            applied: BTreeMap::new(),
            changed: None,
        }
    }
}

impl Seat {
    fn is_live(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Model {
    /// Makes a step and says what is answered.
    pub(crate) fn answer(
        &mut self,
        licence: &Licence,
        step: &Step,
        now: i64,
        ids: &BTreeMap<Names, String>,
    ) -> Expected {
        let before = self.clone();
        let expected = match step {
            Step::DeactivateById(number) => {
                let names = ids.keys().nth(number % ids.len().max(1));
                let at = self.seats.iter().position(|seat| Some(&seat.names) == names);
                self.give_back(licence, at, now)
            }
            Step::Deactivate(_) => {
                let at = step.who(licence).and_then(|who| self.find(licence, &who, now));
                self.give_back(licence, at, now)
            }
            Step::List => {
                let live = self.seats.iter().filter(|seat| seat.is_live(now));
                let held: Value = live.map(|seat| json!([time(Some(seat.since)), time(seat.until)])).collect();
                let mut told = json!({ "status": 200, "held": held });
                self.tell_seats(licence, now, &mut told);
                Expected { told, holder: None }
            }
            Step::Use(_, change, Some(key)) => match self.applied.get(key) {
                Some((applied, at)) if now < at + DAY && applied == change => {
                    self.weigh(licence, step, 0, now, Some(true))
                }
                Some((_, at)) if now < at + DAY => {
                    Expected { told: json!({ "status": 422, "code": "IDEMPOTENCY_KEY_REUSED" }), holder: None }
                }
                _ => self.change_usage(licence, step, *change, Some(key), now),
            },
            Step::Use(_, change, None) => self.change_usage(licence, step, *change, None, now),
            Step::Validate(_, true) => self.weigh(licence, step, 1, now, None),
            _ => self.weigh(licence, step, 0, now, None),
        };
        if *self != before {
            self.changed = Some(now);
        }
        expected
    }

    /// By how many seconds the clock is behind the last change, where the step makes that be seen.
    pub(crate) fn clock_event(&self, licence: &Licence, step: &Step, now: i64) -> Option<i64> {
        let counts = match step {
            Step::Validate(_, with_allowance) => {
                *with_allowance || licence.basis != "issue" || licence.seats.is_some() && step.who(licence).is_some()
            }
            Step::Activate(_) | Step::Heartbeat(_) => {
                licence.basis != "issue" || licence.seats.is_some() && step.who(licence).is_some()
            }
            _ => true,
        };
        self.changed.map(|changed| changed - now).filter(|behind| counts && *behind > 0)
    }

    fn give_back(&mut self, licence: &Licence, at: Option<usize>, now: i64) -> Expected {
        let was_held = at.is_some_and(|at| self.seats.remove(at).is_live(now));
        let mut told = json!({ "status": 200, "deactivated": was_held });
        self.tell_seats(licence, now, &mut told);
        Expected { told, holder: None }
    }

    /// Consumes if that is valid; returns in any case.
    fn change_usage(
        &mut self,
        licence: &Licence,
        step: &Step,
        change: Change,
        key: Option<&'static str>,
        now: i64,
    ) -> Expected {
        let (used, period) = self.usage(licence, now);
        let mut tried = self.clone();
        tried.period = Some(period);
        if let Some(key) = key {
            tried.applied.insert(key, (change, now));
        }
        tried.used = match change {
            Change::Consume(amount) => used + amount,
            Change::Return(amount) => used.saturating_sub(amount),
        };
        let expected = tried.weigh(licence, step, 0, now, Some(true));
        match change {
            Change::Consume(amount) if expected.told["valid"] == false => {
                self.weigh(licence, step, amount, now, Some(false))
            }
            _ => {
                *self = tried;
                expected
            }
        }
    }

    /// Makes what a step does to seats and to the beginning of time, if what comes of it is valid; tells of what is then.
    fn weigh(&mut self, licence: &Licence, step: &Step, wants: u64, now: i64, applied: Option<bool>) -> Expected {
        let who = step.who(licence);
        let mut tried = self.clone();
        if let (Some(seats), Some(who)) = (&licence.seats, &who) {
            match step {
                Step::Activate(_) => tried.take(licence, seats, who, now),
                Step::Heartbeat(_) => tried.keep(licence, seats, who, now),
                _ => {}
            }
        }
        if licence.basis == "first-validation"
            || licence.basis == "first-activation" && matches!(step, Step::Activate(_))
        {
            tried.begun.get_or_insert(now);
        }
        let refused = tried.refusal(licence, step, who.as_ref(), wants, now);
        if refused.is_none() {
            *self = tried;
        }

        let mut told = json!({
            "status": 200, "valid": refused.is_none(), "code": refused.unwrap_or("VALID"),
            "expiresAt": time(self.ends_at(licence)),
        });
        let found = who.as_ref().and_then(|who| self.find(licence, who, now)).filter(|_| licence.seats.is_some());
        let mut warnings = Vec::new();
        if let (Some(at), Some(seats)) = (found, &licence.seats) {
            let seat = &self.seats[at];
            told["activation"] = json!({ "activatedAt": time(Some(seat.since)), "leaseEndsAt": time(seat.until) });
            let before = self.seats[..at].iter().filter(|seat| seat.is_live(now)).count();
            if before >= seats.limit as usize {
                warnings.push("ACTIVATIONS_OVER_LIMIT");
            }
        }
        if who.is_some() {
            self.tell_seats(licence, now, &mut told);
        }
        if matches!(step, Step::Validate(_, true) | Step::Read(_) | Step::Use(..)) {
            let (used, period) = self.usage(licence, now);
            told["allowance"] = json!({
                "limit": licence.limit, "used": used, "remaining": licence.limit.saturating_sub(used),
                "resetsAt": time(bounds(licence.period, period).1),
            });
            if used + wants > licence.limit {
                warnings.push("USAGE_OVER_LIMIT");
            }
        }
        if refused.is_none() && !warnings.is_empty() {
            told["warnings"] = warnings.into();
        }
        if let Some(applied) = applied {
            told["applied"] = applied.into();
        }
        Expected { told, holder: found.map(|at| self.seats[at].names.clone()) }
    }

    /// The first reason to refuse, in the order of the codes.
    fn refusal(
        &self,
        licence: &Licence,
        step: &Step,
        who: Option<&Names>,
        wants: u64,
        now: i64,
    ) -> Option<&'static str> {
        if self.status != "active" {
            return Some(if self.status == "revoked" { "REVOKED" } else { "SUSPENDED" });
        }
        if self.ends_at(licence).is_some_and(|end| now >= end) {
            return Some("EXPIRED");
        }
        if let Some(seats) = &licence.seats {
            let Some(who) = who else {
                return Some(match seats.per {
                    Per::Machine => "FINGERPRINT_REQUIRED",
                    Per::Domain => "DOMAIN_REQUIRED",
                    Per::User => "USER_REQUIRED",
                });
            };
            let Some(at) = self.find(licence, who, now) else { return Some("NOT_ACTIVATED") };
            if !self.seats[at].is_live(now) {
                return Some("LEASE_EXPIRED");
            }
            if self.seats[..at].iter().filter(|seat| seat.is_live(now)).count() >= seats.ceiling() {
                return Some("TOO_MANY_ACTIVATIONS");
            }
        }
        let counts = matches!(step, Step::Validate(_, true) | Step::Read(_) | Step::Use(..));
        (counts && self.usage(licence, now).0 + wants > licence.allowance_ceiling()).then_some("USAGE_EXHAUSTED")
    }

    /// Takes a seat, or the same again.
    fn take(&mut self, licence: &Licence, seats: &Seats, who: &Names, now: i64) {
        let until = seats.lease.map(|lease| now + i64::from(lease));
        let mut names = who.clone();
        if let Some(at) = self.find(licence, who, now) {
            if self.seats[at].is_live(now) {
                self.seats[at].until = self.seats[at].until.max(until);
                return;
            }
            names = self.seats.remove(at).names;
        }
        // Leases that ended keep their place, for who may revive them or for a clock that goes back, as long as nobody needs it.
        while self.seats.len() >= seats.ceiling() {
            let over = self.seats.iter().enumerate().filter(|(_, seat)| !seat.is_live(now));
            let Some((longest_over, _)) = over.min_by_key(|(_, seat)| seat.until) else { break };
            self.seats.remove(longest_over);
        }
        self.seats.push(Seat { names, since: now, until });
    }

    /// Renews a lease, or revives it.
    fn keep(&mut self, licence: &Licence, seats: &Seats, who: &Names, now: i64) {
        let Some(at) = self.find(licence, who, now) else { return };
        let until = seats.lease.map(|lease| now + i64::from(lease));
        let mut seat = self.seats[at].clone();
        if seat.is_live(now) {
            seat.until = seat.until.max(until);
            self.seats[at] = seat;
        } else if seat.until.is_some_and(|until| now < until + i64::from(seats.revive)) {
            self.seats.remove(at);
            self.seats.push(Seat { until, ..seat });
        }
    }

    /// The place of somebody's seat: the first whose lease runs, or else the first of those whose lease ended last.
    fn find(&self, licence: &Licence, who: &Names, now: i64) -> Option<usize> {
        let seats = licence.seats.as_ref()?;
        let mut found: Option<usize> = None;
        for (at, seat) in self.seats.iter().enumerate().filter(|(_, seat)| seats.is(&seat.names, who)) {
            if seat.is_live(now) {
                return Some(at);
            }
            if found.is_none_or(|found| self.seats[found].until < seat.until) {
                found = Some(at);
            }
        }
        found
    }

    /// How much is used in the present period, and when that began. A clock that goes back does not end it.
    fn usage(&self, licence: &Licence, now: i64) -> (u64, i64) {
        let (start, _) = bounds(licence.period, now);
        self.period.filter(|period| *period >= start).map_or((0, start), |period| (self.used, period))
    }

    fn ends_at(&self, licence: &Licence) -> Option<i64> {
        self.begun.map(|begun| begun + i64::from(licence.duration))
    }

    fn tell_seats(&self, licence: &Licence, now: i64, told: &mut Value) {
        if let Some(seats) = &licence.seats {
            let used = self.seats.iter().filter(|seat| seat.is_live(now)).count();
            told["seats"] = json!({ "limit": seats.limit, "used": used });
        }
    }
}

/// The first second of the period that a moment lies in, and the first after it. From 2026 on.
fn bounds(period: &str, moment: i64) -> (i64, Option<i64>) {
    let day = moment.div_euclid(DAY);
    let days = |from: i64, to: i64| (from * DAY, Some(to * DAY));
    match period {
        "day" => days(day, day + 1),
        "week" => {
            // 1970-01-05 was a Monday.
            let monday = (day - 4).div_euclid(7) * 7 + 4;
            days(monday, monday + 7)
        }
        "month" | "year" => {
            let mut start = 20_454;
            for year in 2026.. {
                let february = if year % 4 == 0 { 29 } else { 28 };
                let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
                let lengths = if period == "year" { vec![months.iter().sum()] } else { months.to_vec() };
                for length in lengths {
                    if day < start + length {
                        return days(start, start + length);
                    }
                    start += length;
                }
            }
            unreachable!("years go on")
        }
        _ => (i64::MIN, None),
    }
}

fn time(moment: Option<i64>) -> Option<String> {
    moment.map(|moment| Timestamp::from_unix(moment).to_string())
}
