//! The validator agrees with a plain model at every step of random sequences of requests, vendor's
//! changes, time and store faults.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod age;
mod case;
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use case::{Change, Licence, Names, Per, Seats, Step};
use countersign::id::LicenseId;
use countersign::key;
use countersign::limits::{MAX_ALLOWANCES, MAX_COMPONENTS, MAX_REMEMBERED, MAX_SEATS, MAX_VALUE_BYTES, MEMORY_ENTRIES};
use countersign::state::State;
use countersign_app_tests::{Fault, Validator};
use model::{Expected, Model};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::Config;
use serde_json::{Value, json};

/// An existing key, which is looked up as given.
const KEY: &str = "the key of the licence under test";

/// 2026-12-31T12:00:00Z, shortly before a period of every kind ends.
const BEGIN: i64 = 1_798_718_400;

/// Runs a sequence, with faults of the store at some steps, and compares every answer with the
/// model's.
fn run(licence: &Licence, steps: &[(Step, Vec<Option<Fault>>)]) -> Result<(), TestCaseError> {
    let hash = key::read(KEY).unwrap();
    let mut validator = Validator::start();
    validator.world().now = BEGIN;
    validator.world().write(&hash.store_key(), licence.record("active").to_string().into_bytes());
    // The states that the licence may be in. A request that failed was applied or not, so it leaves
    // both.
    let mut possible = vec![Model::default()];
    let mut ids: BTreeMap<Names, String> = BTreeMap::new();
    let mut latest = BEGIN;
    for (number, (step, faults)) in steps.iter().enumerate() {
        let now = validator.world().now;
        match step {
            Step::Pass(seconds) => {
                validator.world().now = now + seconds;
                latest = latest.max(now + seconds);
                continue;
            }
            Step::SetStatus(status) => {
                validator.world().write(&hash.store_key(), licence.record(status).to_string().into_bytes());
                possible.iter_mut().for_each(|model| model.status = status);
                continue;
            }
            _ => {}
        }
        let Some((verb, body, idempotency_key)) = step.request(KEY, licence, &ids) else { continue };
        {
            let mut world = validator.world();
            world.store_faults = faults.iter().copied().collect();
            world.events.clear();
        }
        let (status, answer) = validator.ask(verb, &body, idempotency_key);
        validator.world().store_faults.clear();

        let context = format!("step {number}, {step:?} at {now} with {faults:?}: {status} {answer}\n{possible:#?}");
        let after: Vec<_> = possible
            .iter()
            .map(|before| {
                let mut after = before.clone();
                let expected = after.answer(licence, step, now, &ids);
                (before, after, expected)
            })
            .collect();
        if status == 503 {
            prop_assert!(
                faults.iter().any(|fault| matches!(fault, Some(Fault::NotMade | Fault::AnswerLost))),
                "{context}"
            );
            prop_assert!(answer.get("valid").is_none() && answer["code"] == "UNAVAILABLE", "{context}");
            let reached = after.into_iter().flat_map(|(before, after, _)| [before.clone(), after]);
            possible = distinct(reached.collect());
        } else {
            let actual = case::predictable(status, &answer);
            let expected: Vec<_> = after.iter().map(|(.., expected)| expected.clone()).collect();
            let clock: Vec<_> = after.iter().map(|(before, ..)| before.clock_event(licence, step, now)).collect();
            let id = answer.pointer("/activation/id").and_then(Value::as_str);
            // A holder keeps one activation id.
            let is_known = |holder: &Option<Names>| {
                holder.as_ref().and_then(|holder| ids.get(holder)).is_none_or(|known| Some(known.as_str()) == id)
            };
            let agrees = |expected: &Expected| expected.answer == actual && is_known(&expected.holder);
            let agreeing: Vec<_> = after.into_iter().filter(|(.., expected)| agrees(expected)).collect();
            prop_assert!(!agreeing.is_empty(), "{context}\nactual   {actual}\nexpected {expected:#?}");
            if faults.is_empty() && possible.len() == 1 {
                let events = &validator.world().events;
                let event = events.iter().find(|event| event.name == "clock-went-back");
                let event = event.map(|event| event.seconds.unwrap().cast_signed());
                prop_assert_eq!(event, clock[0], "{}", context);
            }
            let holder = agreeing[0].2.holder.clone();
            if let (Some(holder), Some(id), true) =
                (&holder, id, agreeing.iter().all(|(.., other)| other.holder == holder))
            {
                ids.insert(holder.clone(), id.to_owned());
            }
            possible = distinct(agreeing.into_iter().map(|(_, after, _)| after).collect());
        }
        holds_its_limits(&validator, licence, latest)
            .map_err(|reason| TestCaseError::fail(format!("{reason}\n{context}")))?;
    }
    let names = ids.len();
    let distinct_ids: BTreeSet<_> = ids.into_values().collect();
    prop_assert_eq!(distinct_ids.len(), names);
    Ok(())
}

/// Checks that the stored state is within every limit, and that no lease ends later than one taken
/// at the latest time so far.
fn holds_its_limits(validator: &Validator, licence: &Licence, latest: i64) -> Result<(), String> {
    let world = validator.world();
    let Some(entry) = world.entries.get(&LicenseId::parse(case::ID).unwrap().state_key()) else { return Ok(()) };
    let state = State::from_bytes(&entry.value).map_err(|error| error.to_string())?;
    let seats = licence.seats.as_ref();
    if state.seats.len() > seats.map_or(0, Seats::ceiling) {
        return Err(format!("{} seats are taken", state.seats.len()));
    }
    let longest = latest + i64::from(seats.and_then(|seats| seats.lease).unwrap_or(0));
    if let Some(seat) = state.seats.iter().find(|seat| seat.until.is_some_and(|until| until.unix() > longest)) {
        return Err(format!("{seat:?} ends after {longest}, the latest end of a lease"));
    }
    match state.counters.iter().find(|counter| counter.used > licence.allowance_ceiling()) {
        Some(counter) => Err(format!("{counter:?} is over its limit")),
        None => Ok(()),
    }
}

fn distinct(models: Vec<Model>) -> Vec<Model> {
    let mut distinct: Vec<Model> = Vec::new();
    for model in models {
        if !distinct.contains(&model) {
            distinct.push(model);
        }
    }
    distinct
}

prop_compose! {
    fn seats()(
        per in select(vec![Per::Machine, Per::Machine, Per::Domain, Per::User]),
        limit in 1..4_u32,
        overage in select(vec!["none", "none", "150%", "always"]),
        matching in select(vec!["all", "all", "most", "two", "any"]),
        lease in prop_oneof![Just(None), (1..200_u32).prop_map(Some)],
        revive in 0..200_u32,
        manage in select(vec![None, Some("own"), Some("all")]),
    ) -> Seats {
        Seats { per, limit, overage, matching, lease, revive: if lease.is_some() { revive } else { 0 }, manage }
    }
}

prop_compose! {
    fn licence()(
        seats in proptest::option::weighted(0.9, seats()),
        limit in 1..12_u64,
        period in select(vec!["total", "day", "week", "month", "year"]),
        overage in select(vec!["none", "none", "150%", "always"]),
        basis in select(vec!["issue", "first-validation", "first-activation"]),
        duration in 1..400_u32,
    ) -> Licence {
        let basis = if seats.is_none() && basis == "first-activation" { "issue" } else { basis };
        Licence { seats, limit, period, overage, basis, duration }
    }
}

fn who() -> impl Strategy<Value = Option<Names>> {
    let names = subsequence(vec!["a", "b", "c", "d", "e"], 1..=4).prop_map(|names| names.into_iter().collect());
    proptest::option::weighted(0.95, names)
}

fn step() -> impl Strategy<Value = Step> {
    let key = || proptest::option::of(select(vec!["once", "twice", "thrice"]));
    let change = prop_oneof![2 => (1..6_u64).prop_map(Change::Consume), 1 => (1..6_u64).prop_map(Change::Return)];
    prop_oneof![
        6 => who().prop_map(Step::Activate),
        4 => who().prop_map(Step::Heartbeat),
        2 => who().prop_map(Step::Deactivate),
        1 => any::<proptest::sample::Index>().prop_map(|index| Step::DeactivateById(index.index(64))),
        4 => (who(), any::<bool>()).prop_map(|(who, with_allowance)| Step::Validate(who, with_allowance)),
        1 => who().prop_map(Step::List),
        1 => who().prop_map(Step::Read),
        5 => (who(), change, key()).prop_map(|(who, change, key)| Step::Use(who, change, key)),
        1 => select(vec!["suspended", "revoked", "active", "active"]).prop_map(Step::SetStatus),
        5 => (1..250_i64).prop_map(Step::Pass),
        1 => (-250..0_i64).prop_map(Step::Pass),
        1 => select(vec![-90_000, 40_000, 86_400, 700_000]).prop_map(Step::Pass),
    ]
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        5 => Just(None),
        3 => Just(Some(Fault::Overtaken)),
        1 => Just(Some(Fault::NotMade)),
        1 => Just(Some(Fault::AnswerLost)),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 1_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_component_agrees_with_the_model(licence in licence(), steps in vec((step(), Just(Vec::new())), 1..60)) {
        run(&licence, &steps)?;
    }

    /// An acknowledged change is applied, a failed one at most once, and no limit is passed.
    #[test]
    fn the_component_agrees_with_the_model_over_a_faulty_store(licence in licence(), steps in vec((step(), vec(fault(), 0..8)), 1..40)) {
        run(&licence, &steps)?;
    }

    #[test]
    fn consumption_retried_until_answered_counts_once(uses in vec((1..100_u64, vec(fault(), 0..12)), 1..50)) {
        let licence = Licence { seats: None, limit: 10_000, period: "total", overage: "none", basis: "issue", duration: 0 };
        let mut validator = Validator::start();
        validator.world().now = BEGIN;
        validator.world().write(&key::read(KEY).unwrap().store_key(), licence.record("active").to_string().into_bytes());
        let mut sum = 0;
        for (number, (amount, faults)) in uses.into_iter().enumerate() {
            validator.world().store_faults = faults.into();
            sum += amount;
            let body = json!({ "key": KEY, "allowance": "credits", "consume": amount });
            let answer = loop {
                let (status, answer) = validator.ask("usage", &body, Some(&format!("use-{number}")));
                validator.world().now += 1;
                if status == 200 {
                    break answer;
                }
                prop_assert_eq!(status, 503);
            };
            prop_assert_eq!(&answer["applied"], true);
            prop_assert_eq!(&answer["allowance"]["used"], sum);
        }
    }
}

/// Whatever holders send: 10,000 changes, each with a key of its own, leave no more behind
/// than the state's own memory and [`MEMORY_ENTRIES`] entries.
#[test]
fn a_holder_fills_a_bounded_part_of_the_store() {
    let licence =
        Licence { seats: None, limit: 1_000_000, period: "total", overage: "none", basis: "issue", duration: 0 };
    let mut validator = Validator::start();
    validator.world().now = BEGIN;
    validator.world().write(&key::read(KEY).unwrap().store_key(), licence.record("active").to_string().into_bytes());
    let body =
        |number: usize| json!({ "key": KEY, "user": format!("user-{number}"), "allowance": "credits", "consume": 1 });
    let consume = |validator: &mut Validator, number: usize| {
        validator.world().now += 1;
        validator.ask("usage", &body(number), Some(&format!("use-{number}"))).1
    };
    for number in 0..10_000 {
        assert_eq!(consume(&mut validator, number)["applied"], true);
    }
    let entries: Vec<_> = {
        let world = validator.world();
        let of_memory = world.entries.iter().filter(|(key, _)| key.starts_with("operation:"));
        of_memory.map(|(_, entry)| entry.value.len()).collect()
    };
    assert!(entries.len() <= usize::from(MEMORY_ENTRIES), "{} entries", entries.len());
    assert!(entries.iter().sum::<usize>() <= 32 * MAX_REMEMBERED * usize::from(MEMORY_ENTRIES));
    // Far more than the state's own memory are found, the newest first of all.
    for number in 10_000 - 2_000..10_000 {
        let again = consume(&mut validator, number);
        assert_eq!((&again["replayed"], &again["allowance"]["used"]), (&json!(true), &json!(10_000)), "{number}");
    }
}

/// 1,000 seats of five components each, 8 allowances with the longest names, 64 remembered changes.
/// The next machine is refused. Prints the time of a call, beside that of a single seat.
#[test]
fn the_largest_state_fits_one_value() {
    let allowance = |number: usize| format!("{number:064}");
    let mut record =
        Licence { seats: None, limit: 1_000, period: "total", overage: "none", basis: "issue", duration: 0 }
            .record("active");
    record["activation"] = json!({ "per": "machine", "limit": MAX_SEATS, "leaseSeconds": 1_000_000 });
    let allowances = (0..MAX_ALLOWANCES).map(|number| json!({ "name": allowance(number), "limit": 1_000 }));
    record["allowances"] = allowances.collect();
    let mut validator = Validator::start();
    validator.world().now = BEGIN;
    validator.world().write(&key::read(KEY).unwrap().store_key(), record.to_string().into_bytes());
    let body = |machine: usize| {
        let component = |part| format!("component {part} of machine {machine}");
        json!({ "key": KEY, "fingerprint": (0..MAX_COMPONENTS).map(component).collect::<Vec<_>>() })
    };
    let cost = |validator: &mut Validator, verb, machine| {
        // An activation writes only if time has passed since the last one.
        let mut rounds: Vec<_> = (0..51)
            .map(|_| {
                validator.world().now += 1;
                let start = Instant::now();
                assert_eq!(validator.ask(verb, &body(machine), None).1["valid"], true);
                start.elapsed()
            })
            .collect();
        rounds.sort();
        rounds[rounds.len() / 2]
    };
    assert_eq!(validator.ask("activate", &body(0), None).1["valid"], true);
    let of_one = (cost(&mut validator, "activate", 0), cost(&mut validator, "validate", 0));
    for machine in 1..MAX_SEATS {
        assert_eq!(validator.ask("activate", &body(machine), None).1["seats"]["used"], machine + 1);
    }
    for operation in 0..MAX_REMEMBERED {
        let mut body = body(0);
        body["allowance"] = allowance(operation % MAX_ALLOWANCES).into();
        body["consume"] = 1.into();
        assert_eq!(validator.ask("usage", &body, Some(&operation.to_string())).1["applied"], true);
    }
    assert_eq!(validator.ask("activate", &body(MAX_SEATS), None).1["code"], "TOO_MANY_ACTIVATIONS");
    let of_all = (cost(&mut validator, "activate", MAX_SEATS - 1), cost(&mut validator, "validate", MAX_SEATS - 1));
    let world = validator.world();
    let bytes = world.entries[&LicenseId::parse(case::ID).unwrap().state_key()].value.len();
    assert!(bytes <= MAX_VALUE_BYTES, "{bytes} bytes");
    println!(
        "the largest state has {bytes} bytes; activating and validating take {of_all:?}, with one seat {of_one:?}"
    );
}
