//! Seats, leases and usage as plainly as possible: the model that the component must agree with.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use countersign::time::Timestamp;
use serde_json::{Value, json};

use crate::case::{Change, Licence, Names, Per, Seats, Step};

/// How long an idempotency key is remembered.
const DAY: i64 = 86_400;

/// The state of a licence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) status: &'static str,
    begun: Option<i64>,
    /// In the order in which they were taken, including those whose lease has ended.
    seats: Vec<Seat>,
    used: u64,
    /// The first second of the period that `used` is of.
    period: Option<i64>,
    /// The applied changes with their times, by who asked and the idempotency key.
    applied: BTreeMap<(Option<Names>, &'static str), (Change, i64)>,
    /// When the state last changed.
    changed: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
struct Seat {
    names: Names,
    since: i64,
    until: Option<i64>,
}

/// The answer that the model predicts.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// See [`predictable`](crate::case::predictable).
    pub(crate) answer: Value,
    /// The names with which the seat in the answer was taken.
    pub(crate) holder: Option<Names>,
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
    /// Takes a step and predicts the answer.
    pub(crate) fn answer(
        &mut self,
        licence: &Licence,
        step: &Step,
        now: i64,
        ids: &BTreeMap<Names, String>,
    ) -> Expected {
        if self.status == "revoked" {
            // Whatever the request is: the answer has nothing else, and nothing changes.
            return Expected { answer: json!({ "status": 200, "valid": false, "code": "REVOKED" }), holder: None };
        }
        let before = self.clone();
        let expected = match step {
            Step::DeactivateById(_) if licence.seats.as_ref().is_some_and(|seats| !seats.are_managed_by_all()) => {
                Expected { answer: json!({ "status": 400, "code": "INVALID_REQUEST" }), holder: None }
            }
            Step::DeactivateById(number) => {
                let names = ids.keys().nth(number % ids.len().max(1));
                let at = self.seats.iter().position(|seat| Some(&seat.names) == names);
                self.release(licence, at, now)
            }
            Step::Deactivate(_) => {
                let at = step.holder(licence).and_then(|holder| self.find(licence, &holder, now));
                self.release(licence, at, now)
            }
            Step::List(_) => {
                let holder = step.holder(licence);
                let is_own =
                    |seats: &Seats, seat: &Seat| holder.as_ref().is_some_and(|own| seats.matches(&seat.names, own));
                let is_listed = |seat: &&Seat| {
                    let seats = licence.seats.as_ref();
                    seat.is_live(now) && seats.is_some_and(|seats| seats.are_managed_by_all() || is_own(seats, seat))
                };
                let live = self.seats.iter().filter(is_listed);
                let held: Value = live.map(|seat| json!([time(Some(seat.since)), time(seat.until)])).collect();
                let mut answer = json!({ "status": 200, "held": held });
                self.add_seats(licence, now, &mut answer);
                Expected { answer, holder: None }
            }
            Step::Use(_, change, Some(key)) => match self.applied.get(&(step.holder(licence), *key)) {
                Some((applied, at)) if now < at + DAY && applied == change => {
                    let mut expected = self.weigh(licence, step, 0, now, Some(true));
                    expected.answer["replayed"] = true.into();
                    expected
                }
                Some((_, at)) if now < at + DAY => {
                    Expected { answer: json!({ "status": 422, "code": "IDEMPOTENCY_KEY_REUSED" }), holder: None }
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

    /// How many seconds the clock is behind the last change, if the step reads the state.
    pub(crate) fn clock_event(&self, licence: &Licence, step: &Step, now: i64) -> Option<i64> {
        if self.status == "revoked" {
            return None;
        }
        let counts = match step {
            Step::Validate(_, with_allowance) => {
                *with_allowance || licence.basis != "issue" || licence.seats.is_some() && step.holder(licence).is_some()
            }
            Step::Activate(_) | Step::Heartbeat(_) => {
                licence.basis != "issue" || licence.seats.is_some() && step.holder(licence).is_some()
            }
            Step::DeactivateById(_) => licence.seats.as_ref().is_none_or(Seats::are_managed_by_all),
            _ => true,
        };
        self.changed.map(|changed| changed - now).filter(|behind| counts && *behind > 0)
    }

    fn release(&mut self, licence: &Licence, at: Option<usize>, now: i64) -> Expected {
        let was_held = at.is_some_and(|at| self.seats.remove(at).is_live(now));
        let mut answer = json!({ "status": 200, "deactivated": was_held });
        self.add_seats(licence, now, &mut answer);
        Expected { answer, holder: None }
    }

    /// Consumes if the result is valid; returns in any case.
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
            tried.applied.insert((step.holder(licence), key), (change, now));
        }
        tried.used = match change {
            Change::Consume(amount) => used + amount,
            Change::Return(amount) => used.saturating_sub(amount),
        };
        let expected = tried.weigh(licence, step, 0, now, Some(true));
        match change {
            Change::Consume(amount) if expected.answer["valid"] == false => {
                self.weigh(licence, step, amount, now, Some(false))
            }
            _ => {
                *self = tried;
                expected
            }
        }
    }

    /// Applies the step to seats and to the start of the term, keeps the result if it is valid, and
    /// predicts the verdict.
    fn weigh(&mut self, licence: &Licence, step: &Step, wants: u64, now: i64, applied: Option<bool>) -> Expected {
        let holder = step.holder(licence);
        let mut tried = self.clone();
        if let (Some(seats), Some(holder)) = (&licence.seats, &holder) {
            match step {
                Step::Activate(_) => tried.take(licence, seats, holder, now),
                Step::Heartbeat(_) => tried.renew(licence, seats, holder, now),
                _ => {}
            }
        }
        if licence.basis == "first-validation"
            || licence.basis == "first-activation" && matches!(step, Step::Activate(_))
        {
            tried.begun.get_or_insert(now);
        }
        let refused = tried.refusal(licence, step, holder.as_ref(), wants, now);
        if refused.is_none() {
            *self = tried;
        }

        let mut answer = json!({
            "status": 200, "valid": refused.is_none(), "code": refused.unwrap_or("VALID"),
            "expiresAt": time(self.ends_at(licence)),
        });
        let found =
            holder.as_ref().and_then(|holder| self.find(licence, holder, now)).filter(|_| licence.seats.is_some());
        let mut warnings = Vec::new();
        if let (Some(at), Some(seats)) = (found, &licence.seats) {
            let seat = &self.seats[at];
            answer["activation"] = json!({ "activatedAt": time(Some(seat.since)), "leaseEndsAt": time(seat.until) });
            let before = self.seats[..at].iter().filter(|seat| seat.is_live(now)).count();
            if before >= seats.limit as usize {
                warnings.push("ACTIVATIONS_OVER_LIMIT");
            }
        }
        if holder.is_some() {
            self.add_seats(licence, now, &mut answer);
        }
        if matches!(step, Step::Validate(_, true) | Step::Read(_) | Step::Use(..)) {
            let (used, period) = self.usage(licence, now);
            answer["allowance"] = json!({
                "limit": licence.limit, "used": used, "remaining": licence.limit.saturating_sub(used),
                "resetsAt": time(bounds(licence.period, period).1),
            });
            if used + wants > licence.limit {
                warnings.push("USAGE_OVER_LIMIT");
            }
        }
        if refused.is_none() && !warnings.is_empty() {
            answer["warnings"] = warnings.into();
        }
        if let Some(applied) = applied {
            answer["applied"] = applied.into();
        }
        Expected { answer, holder: found.map(|at| self.seats[at].names.clone()) }
    }

    /// The first reason to refuse, in the order of the codes.
    fn refusal(
        &self,
        licence: &Licence,
        step: &Step,
        holder: Option<&Names>,
        wants: u64,
        now: i64,
    ) -> Option<&'static str> {
        if self.status != "active" {
            return Some("SUSPENDED");
        }
        if self.ends_at(licence).is_some_and(|end| now >= end) {
            return Some("EXPIRED");
        }
        if let Some(seats) = &licence.seats {
            let Some(holder) = holder else {
                return Some(match seats.per {
                    Per::Machine => "FINGERPRINT_REQUIRED",
                    Per::Domain => "DOMAIN_REQUIRED",
                    Per::User => "USER_REQUIRED",
                });
            };
            let Some(at) = self.find(licence, holder, now) else { return Some("NOT_ACTIVATED") };
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

    /// Takes a seat, or renews the one that the holder has.
    fn take(&mut self, licence: &Licence, seats: &Seats, holder: &Names, now: i64) {
        let until = seats.lease.map(|lease| now + i64::from(lease));
        let mut names = holder.clone();
        if let Some(at) = self.find(licence, holder, now) {
            if self.seats[at].is_live(now) {
                self.seats[at].until = self.seats[at].until.max(until);
                return;
            }
            names = self.seats.remove(at).names;
        }
        // A seat whose lease has ended stays until another holder needs it: it may be revived, and
        // the clock may go back.
        while self.seats.len() >= seats.ceiling() {
            let ended = self.seats.iter().enumerate().filter(|(_, seat)| !seat.is_live(now));
            let Some((earliest, _)) = ended.min_by_key(|(_, seat)| seat.until) else { break };
            self.seats.remove(earliest);
        }
        self.seats.push(Seat { names, since: now, until });
    }

    /// Renews a lease that runs, or revives one that ended.
    fn renew(&mut self, licence: &Licence, seats: &Seats, holder: &Names, now: i64) {
        let Some(at) = self.find(licence, holder, now) else { return };
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

    /// The index of the holder's seat: the first whose lease runs, else the one whose lease ended
    /// last.
    fn find(&self, licence: &Licence, holder: &Names, now: i64) -> Option<usize> {
        let seats = licence.seats.as_ref()?;
        let own = self.seats.iter().enumerate().filter(|(_, seat)| seats.matches(&seat.names, holder));
        // Live ones come before lapsed ones, of these the last to lapse, and then the exact one.
        let rank = |seat: &Seat| (!seat.is_live(now)).then_some(Reverse(seat.until));
        own.min_by_key(|(_, seat)| (rank(seat), seat.names != *holder)).map(|(at, _)| at)
    }

    /// The usage of the current period and its first second. A clock that goes back does not end
    /// it.
    fn usage(&self, licence: &Licence, now: i64) -> (u64, i64) {
        let (start, _) = bounds(licence.period, now);
        self.period.filter(|period| *period >= start).map_or((0, start), |period| (self.used, period))
    }

    fn ends_at(&self, licence: &Licence) -> Option<i64> {
        self.begun.map(|begun| begun + i64::from(licence.duration))
    }

    fn add_seats(&self, licence: &Licence, now: i64, answer: &mut Value) {
        if let Some(seats) = &licence.seats {
            let used = self.seats.iter().filter(|seat| seat.is_live(now)).count();
            answer["seats"] = json!({ "limit": seats.limit, "used": used });
        }
    }
}

/// The first second of the period that contains a moment, and the first one after the period.
/// Correct from 2026 on.
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
            unreachable!("the loop has no end")
        }
        _ => (i64::MIN, None),
    }
}

fn time(moment: Option<i64>) -> Option<String> {
    moment.map(|moment| Timestamp::from_unix(moment).to_string())
}
