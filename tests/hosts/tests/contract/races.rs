//! The claims about concurrent writers, of adapters that promise them.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use countersign_host_tests::store::{Answered, Capabilities, Expect, Outcome, Store};

use crate::{Claim, ok, stored};

/// Concurrent writers in a race.
const WRITERS: usize = 24;
/// Additions by each writer.
const ADDITIONS: usize = 5;
/// How long a writer retries.
const TURN_WITHIN: Duration = Duration::from_secs(20);

pub(crate) const CLAIMS: [Claim; 3] = [
    Claim { name: "a-race-loses-no-addition", of: races, holds: a_race_loses_no_addition },
    Claim { name: "a-race-to-create-has-one-winner", of: races, holds: a_race_to_create_has_one_winner },
    Claim { name: "a-race-for-a-version-has-one-winner", of: races, holds: a_race_for_a_version_has_one_winner },
];

/// Whether the adapter promises that one of several writers wins.
fn races(adapter: &Capabilities) -> bool {
    ["atomic", "single-process"].contains(&adapter.compare_and_swap.as_str())
}

fn a_race_loses_no_addition(store: Store) -> Result<()> {
    let applied = race(|_| {
        let mut applied = 0;
        for _ in 0..ADDITIONS {
            applied += patiently(|| store.increment("counter", 1))?.applied;
        }
        Ok(applied)
    })?;
    let applied: u64 = applied.into_iter().sum();
    ensure!(applied == (WRITERS * ADDITIONS) as u64, "{applied} additions were applied");
    let entry = ok(store.get("counter")?)?.context("the key is missing")?;
    ensure!(entry.value == applied.to_string(), "{applied} additions were applied, and the value is {}", entry.value);
    Ok(())
}

fn a_race_to_create_has_one_winner(store: Store) -> Result<()> {
    one_winner(store, "created", Expect::Absent)
}

fn a_race_for_a_version_has_one_winner(store: Store) -> Result<()> {
    stored(store.put("contended", "start", Expect::Any)?)?;
    let start = ok(store.get("contended")?)?.context("the key is missing")?;
    one_winner(store, "contended", Expect::Matches(&start.version))
}

/// All writers write on one condition. One write must be applied, and the others must get its value
/// as a conflict.
fn one_winner(store: Store, key: &str, expect: Expect<'_>) -> Result<()> {
    let outcomes = race(|writer| patiently(|| store.put(key, &writer.to_string(), expect)))?;
    let winners: Vec<_> =
        outcomes.iter().enumerate().filter(|(_, outcome)| matches!(outcome, Outcome::Stored(_))).collect();
    let [(winner, _)] = winners[..] else { bail!("{} writers won", winners.len()) };
    let there = ok(store.get(key)?)?;
    ensure!(
        there.as_ref().is_some_and(|entry| entry.value == winner.to_string()),
        "{winner} won, and the entry is {there:?}"
    );
    let lost = |outcome: &Outcome| *outcome == Outcome::Conflict(there.clone());
    ensure!(outcomes.iter().filter(|outcome| lost(outcome)).count() == WRITERS - 1, "{outcomes:?}");
    Ok(())
}

/// Runs all writers at once.
fn race<T: Send>(writer: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let writer = &writer;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|number| scope.spawn(move || writer(number))).collect();
        writers.into_iter().map(|writer| writer.join().map_err(|_| anyhow!("a writer panicked"))?).collect()
    })
}

/// Retries while the store refuses because others write; a refused call is not applied.
fn patiently<T>(call: impl Fn() -> Result<Answered<T>>) -> Result<T> {
    let deadline = Instant::now() + TURN_WITHIN;
    loop {
        match call()? {
            Err(error) if ["unavailable", "throttled"].contains(&error.kind.as_str()) && Instant::now() < deadline => {}
            answered => return ok(answered),
        }
    }
}
