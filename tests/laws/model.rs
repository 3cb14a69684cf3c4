//! The verbs agree with a plain model at each step of any sequence, while the clock goes forward
//! and back. The model was written from the verbs' promises, not from their code.

use countersign::{
    decide::Case,
    holder::Matching,
    license::License,
    request::{Change, Request, Verb},
    state::State,
    time::Timestamp,
    transitions,
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};

type Machine = Vec<&'static str>;

#[derive(Clone, Debug)]
enum Step {
    /// The clock moves by n hours, also backwards.
    Pass(i64),
    Validate(Machine),
    Activate(Machine),
    Heartbeat(Machine),
    Deactivate(Machine),
    Consume(Machine, u64),
    Return(Machine, u64),
}

/// All times are in hours.
#[derive(Clone, Debug)]
struct Policy {
    seats: usize,
    matching: Matching,
    lease: Option<i64>,
    revive: i64,
    credits_a_day: u64,
    /// From the first activation.
    duration: Option<i64>,
}

struct Model {
    policy: Policy,
    now: i64,
    /// A machine, and when its lease ends.
    seats: Vec<(Machine, Option<i64>)>,
    used: u64,
    day: i64,
    ends: Option<i64>,
}

impl Model {
    fn runs(&self, (_, ends): &(Machine, Option<i64>)) -> bool {
        ends.is_none_or(|ends| ends > self.now)
    }

    fn taken(&self) -> usize {
        self.seats.iter().filter(|seat| self.runs(seat)).count()
    }

    fn is_same(&self, known: &Machine, asking: &Machine) -> bool {
        let same = known.iter().filter(|part| asking.contains(part)).count();
        match self.policy.matching {
            Matching::All => same == asking.len(),
            Matching::Most => 2 * same > known.len(),
            Matching::Two => same >= 2 || (same == 1 && known.len() == 1),
            Matching::Any => same > 0,
        }
    }

    /// A machine's seat: the first whose lease runs, or else the one whose lease ended last. One
    /// that was taken with just these parts comes before others.
    fn seat_of(&self, machine: &Machine) -> Option<usize> {
        let mut own: Vec<_> = (0..self.seats.len()).filter(|at| self.is_same(&self.seats[*at].0, machine)).collect();
        own.sort_by_key(|at| {
            let known = &self.seats[*at].0;
            known.len() != machine.len() || !known.iter().all(|part| machine.contains(part))
        });
        own.iter().find(|at| self.runs(&self.seats[**at])).copied().or_else(|| {
            let last = own.iter().map(|at| self.seats[*at].1).max()?;
            own.into_iter().find(|at| self.seats[*at].1 == last)
        })
    }

    fn decide(&self, machine: &Machine) -> &'static str {
        if self.ends.is_some_and(|ends| ends <= self.now) {
            return "EXPIRED";
        }
        match self.seat_of(machine) {
            None => "NOT_ACTIVATED",
            Some(at) if !self.runs(&self.seats[at]) => "LEASE_EXPIRED",
            Some(at) if self.seats[..at].iter().filter(|seat| self.runs(seat)).count() >= self.policy.seats => {
                "TOO_MANY_ACTIVATIONS"
            }
            Some(_) => "VALID",
        }
    }

    fn renewed(&self, ends: Option<i64>) -> Option<i64> {
        self.policy.lease.map(|lease| (self.now + lease).max(ends.unwrap_or(i64::MIN)))
    }

    fn activate(&mut self, machine: &Machine) -> &'static str {
        match self.decide(machine) {
            "NOT_ACTIVATED" | "LEASE_EXPIRED" if self.taken() >= self.policy.seats => "TOO_MANY_ACTIVATIONS",
            "NOT_ACTIVATED" | "LEASE_EXPIRED" => {
                let known = self.seat_of(machine).map(|at| self.seats.remove(at).0);
                while self.seats.len() >= self.policy.seats {
                    let lost = self.seats.iter().filter(|seat| !self.runs(seat)).map(|seat| seat.1).min();
                    let at = self.seats.iter().position(|seat| Some(seat.1) == lost).unwrap();
                    self.seats.remove(at);
                }
                self.seats.push((known.unwrap_or(machine.clone()), self.renewed(None)));
                self.ends = self.ends.or(self.policy.duration.map(|duration| self.now + duration));
                "VALID"
            }
            "VALID" => self.heartbeat(machine),
            refusal => refusal,
        }
    }

    fn heartbeat(&mut self, machine: &Machine) -> &'static str {
        let code = self.decide(machine);
        let Some(at) = self.seat_of(machine) else { return code };
        let can_revive = self.seats[at].1.is_some_and(|ends| self.now - ends < self.policy.revive);
        if code == "VALID" {
            self.seats[at].1 = self.renewed(self.seats[at].1);
        } else if code == "LEASE_EXPIRED" && can_revive {
            let (known, ends) = self.seats.remove(at);
            self.seats.push((known, self.renewed(ends)));
            return "VALID";
        }
        code
    }

    /// The current day and what was used on it. It does not go back once something was used.
    fn today(&self) -> (i64, u64) {
        let day = self.now.div_euclid(24);
        if day > self.day { (day, 0) } else { (self.day, self.used) }
    }

    fn consume(&mut self, machine: &Machine, amount: u64) -> &'static str {
        let (code, (day, used)) = (self.decide(machine), self.today());
        if code == "VALID" && used + amount > self.policy.credits_a_day {
            return "USAGE_EXHAUSTED";
        }
        if code == "VALID" {
            (self.day, self.used) = (day, used + amount);
        }
        code
    }
}

fn machines() -> impl Strategy<Value = Machine> {
    prop_oneof![
        2 => select(&["a", "b", "c", "d"][..]).prop_map(|part| vec![part]),
        1 => subsequence(vec!["a", "b", "c", "d", "e"], 1..=5),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (-6i64..16).prop_map(Step::Pass),
        2 => machines().prop_map(Step::Validate),
        4 => machines().prop_map(Step::Activate),
        3 => machines().prop_map(Step::Heartbeat),
        1 => machines().prop_map(Step::Deactivate),
        3 => (machines(), 1u64..4).prop_map(|(machine, amount)| Step::Consume(machine, amount)),
        1 => (machines(), 1u64..4).prop_map(|(machine, amount)| Step::Return(machine, amount)),
    ]
}

prop_compose! {
    fn policies()(
        seats in 1usize..4,
        matching in select(Matching::ALL),
        lease in option::weighted(0.8, 1i64..30),
        revive in 0i64..20,
        credits_a_day in 1u64..6,
        duration in option::weighted(0.3, 50i64..200),
    ) -> Policy {
        let revive = if lease.is_some() { revive } else { 0 };
        Policy { seats, matching, lease, revive, credits_a_day, duration }
    }
}

fn license(policy: &Policy) -> License {
    let mut record = serde_json::json!({
        "format": 1, "generation": 1, "id": "lic_00000000000000000000000000", "product": "acme", "status": "active",
        "plan": "pro", "issuedAt": "2026-01-01T00:00:00Z", "features": [], "domains": [], "requires": [],
        "activation": {
            "per": "machine", "limit": policy.seats, "match": policy.matching, "reviveSeconds": policy.revive * 3_600,
        },
        "allowances": [{ "name": "credits", "limit": policy.credits_a_day, "period": "day" }],
    });
    if let Some(lease) = policy.lease {
        record["activation"]["leaseSeconds"] = (lease * 3_600).into();
    }
    if let Some(duration) = policy.duration {
        record["expiryBasis"] = "first-activation".into();
        record["durationSeconds"] = (duration * 3_600).into();
    }
    License::from_json(record.to_string().as_bytes()).unwrap()
}

fn request(machine: &Machine, change: Option<Change>) -> Request {
    let mut body = serde_json::json!({ "key": "a key from elsewhere", "fingerprint": machine });
    let verb = match change {
        None => Verb::Activate,
        Some(change) => {
            body["allowance"] = "credits".into();
            match change {
                Change::Consume(amount) => body["consume"] = amount.into(),
                Change::Return(amount) => body["return"] = amount.into(),
            }
            Verb::Usage
        }
    };
    Request::from_json(verb, body.to_string().as_bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..crate::config() })]

    #[test]
    fn the_verbs_agree_with_the_model(policy in policies(), steps in vec(steps(), 1..60)) {
        let license = license(&policy);
        let mut state = State::default();
        let mut model = Model { policy, now: 490_000, seats: vec![], used: 0, day: 0, ends: None };
        for step in steps {
            let now = Timestamp::from_unix(model.now * 3_600);
            let usage = |state: &mut State, machine: &Machine, change| {
                transitions::usage(&Case::new(&license, &request(machine, Some(change))), state, None, None, now).unwrap().verdict
            };
            let (expected, verdict) = match &step {
                Step::Pass(hours) => {
                    model.now += hours;
                    continue;
                }
                Step::Deactivate(machine) => {
                    let expected = model.seat_of(machine).map(|at| model.seats.remove(at));
                    let was_held = transitions::deactivate(&Case::new(&license, &request(machine, None)), &mut state, now);
                    prop_assert_eq!(was_held, expected.is_some_and(|seat| model.runs(&seat)));
                    continue;
                }
                Step::Validate(machine) => {
                    (model.decide(machine), transitions::validate(&Case::new(&license, &request(machine, None)), &mut state, now))
                }
                Step::Activate(machine) => {
                    (model.activate(machine), transitions::activate(&Case::new(&license, &request(machine, None)), &mut state, now))
                }
                Step::Heartbeat(machine) => {
                    (model.heartbeat(machine), transitions::heartbeat(&Case::new(&license, &request(machine, None)), &mut state, now))
                }
                Step::Consume(machine, amount) => {
                    (model.consume(machine, *amount), usage(&mut state, machine, Change::Consume(*amount)))
                }
                Step::Return(machine, amount) => {
                    let (day, used) = model.today();
                    (model.day, model.used) = (day, used.saturating_sub(*amount));
                    (model.decide(machine), usage(&mut state, machine, Change::Return(*amount)))
                }
            };
            prop_assert_eq!(verdict.code().as_str(), expected, "{:?}", step);
            prop_assert_eq!(verdict.seats().map(|seats| seats.used), Some(model.taken() as u32));
            let ends = model.ends.map(|ends| Timestamp::from_unix(ends * 3_600));
            prop_assert_eq!(verdict.expires_at(), ends);
            if let Some(remaining) = verdict.remaining() {
                let (day, used) = model.today();
                prop_assert_eq!((remaining.used, remaining.resets_at), (used, Some(Timestamp::from_unix((day + 1) * 86_400))));
            }
        }
    }
}
