//! The claims about concurrent callers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use countersign_host_tests::sql::{Answered, Outcome, Sql, expecting, integer, statement};

use crate::{Claim, committed, ok};

/// Concurrent writers in a race.
const WRITERS: usize = 16;
/// Writes by each writer.
const WRITES: i64 = 10;

/// How long a writer retries.
const TURN_WITHIN: Duration = Duration::from_secs(40);

pub(crate) const CLAIMS: [Claim; 3] = [
    Claim { name: "a-race-loses-no-write", holds: a_race_loses_no_write },
    Claim { name: "each-race-on-a-condition-has-one-winner", holds: one_winner_a_time },
    Claim { name: "half-a-batch-is-never-read", holds: half_a_batch_is_never_read },
];

fn a_race_loses_no_write(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE counter (n INTEGER)", &[])?)?;
    ok(sql.execute("INSERT INTO counter VALUES (0)", &[])?)?;
    race(|_| {
        for _ in 0..WRITES {
            patiently(|| sql.execute("UPDATE counter SET n = n + 1", &[]))?;
        }
        Ok(())
    })?;
    let found = ok(sql.query("SELECT n FROM counter", &[])?)?;
    ensure!(found == [[integer(WRITES * WRITERS as i64)]], "{found:?}");
    Ok(())
}

/// As an app does it: read, then write if nothing has been written since.
fn one_winner_a_time(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE chain (number INTEGER PRIMARY KEY, writer INTEGER)", &[])?)?;
    ok(sql.execute("CREATE TABLE head (number INTEGER)", &[])?)?;
    ok(sql.execute("INSERT INTO head VALUES (0)", &[])?)?;
    let won = race(|writer| {
        let mut won = 0;
        while won < WRITES {
            let head = ok(sql.query("SELECT number FROM head", &[])?)?;
            let head = head[0][0]["integer"].as_str().and_then(|number| number.parse::<i64>().ok());
            let head = head.ok_or_else(|| anyhow!("no head"))?;
            let batch = [
                expecting(
                    1,
                    "UPDATE head SET number = number + 1 WHERE number = ?1 RETURNING number",
                    &[integer(head)],
                ),
                statement("INSERT INTO chain VALUES (?1, ?2)", &[integer(head + 1), integer(writer as i64)]),
            ];
            won += i64::from(patiently(|| sql.batch(&batch))? != Outcome::Unmet(0));
        }
        Ok(won)
    })?;
    let links: i64 = won.iter().sum();
    let found = ok(sql.query("SELECT count(*), max(number), (SELECT number FROM head) FROM chain", &[])?)?;
    ensure!(found == [vec![integer(links); 3]], "{links} links were won, and the tables have {found:?}");
    Ok(())
}

fn half_a_batch_is_never_read(sql: Sql) -> Result<()> {
    ok(sql.execute("CREATE TABLE pairs (n INTEGER)", &[])?)?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let found = patiently(|| sql.query("SELECT count(*) % 2 FROM pairs", &[]))?;
                ensure!(found == [[integer(0)]], "half a batch was read: {found:?}");
            }
            Ok(())
        });
        let insert = |n| statement("INSERT INTO pairs VALUES (?1)", &[integer(n)]);
        let written = (0..50).try_for_each(|n| patiently(|| sql.batch(&[insert(n), insert(n)])).map(drop));
        over.store(true, Ordering::Relaxed);
        reader.join().map_err(|_| anyhow!("the reader panicked"))??;
        written
    })?;
    committed(sql.batch(&[expecting(100, "SELECT n FROM pairs", &[])])?).map(drop)
}

/// Runs all writers at once.
fn race<T: Send>(writer: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let writer = &writer;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|number| scope.spawn(move || writer(number))).collect();
        writers.into_iter().map(|writer| writer.join().map_err(|_| anyhow!("a writer panicked"))?).collect()
    })
}

/// Retries while the database is busy; a busy call writes nothing.
fn patiently<T>(call: impl Fn() -> Result<Answered<T>>) -> Result<T> {
    let deadline = Instant::now() + TURN_WITHIN;
    loop {
        match call()? {
            Err(error) if error.kind == "busy" && Instant::now() < deadline => {}
            answered => return ok(answered),
        }
    }
}
