//! A database that is busy, gone, damaged, or not granted.

use std::fs;
use std::slice::from_ref;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use countersign_host_tests::hosts::{App, Fault, Host, Setup};
use countersign_host_tests::sql::{Sql, integer, statement};

use crate::{committed, kind, ok, start};

/// Runs for ever, and locks the database meanwhile.
const ENDLESS: &str = "WITH RECURSIVE endless (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) \
    INSERT INTO kept SELECT max(n) FROM endless";

/// The time for [`ENDLESS`] to begin.
const BEGUN_WITHIN: Duration = Duration::from_millis(500);

/// The faults that a host's database can be given, each with the case of the error that results.
pub(crate) fn of(host: Host) -> &'static [(Fault, &'static str)] {
    match host {
        Host::Native => &[(Fault::Unknown, "no-such-database"), (Fault::Corrupt, "other")],
        // Spin refuses to start with a label that its configuration lacks, and denies all others.
        _ => &[(Fault::Unknown, "access-denied"), (Fault::Denied, "access-denied"), (Fault::Corrupt, "other")],
    }
}

/// Every call must give this error.
pub(crate) fn every_call_fails(sql: Sql, error: &str) -> Result<()> {
    let found = [
        kind(sql.query("SELECT 1", &[])?),
        kind(sql.execute("CREATE TABLE a (b)", &[])?),
        kind(sql.batch(&[statement("CREATE TABLE a (b)", &[])])?),
    ];
    ensure!(found.iter().all(|kind| kind.as_deref() == Some(error)), "the errors are {found:?} and must be {error}");
    Ok(())
}

/// Another process writes for longer than any call waits.
pub(crate) fn busy(host: Host) -> Result<()> {
    let running = start(host, None)?;
    let sql = Sql { address: running.address() };
    ok(sql.execute("CREATE TABLE kept (n INTEGER)", &[])?)?;
    let other = host.start_beside(&running, &Setup { app: App::SqlContract, ..Setup::default() })?;
    let locker = Sql { address: other.address() };
    let locking = thread::spawn(move || locker.execute(ENDLESS, &[]));
    thread::sleep(BEGUN_WITHIN);
    let insert = statement("INSERT INTO kept VALUES (1)", &[]);
    let found = kind(sql.batch(from_ref(&insert))?);
    let read = ok(sql.query("SELECT count(*) FROM kept", &[])?)?;
    drop(other);
    // Its result does not matter: its host may have ended it, or been killed first.
    let _ = locking.join();
    ensure!(found.as_deref() == Some("busy"), "{found:?}");
    ensure!(read == [[integer(0)]], "{read:?}");
    committed(sql.batch(&[insert])?).context("after the other has ended").map(drop)
}

/// Statements must not reach anything but the database.
pub(crate) fn reaches_nothing_else() -> Result<()> {
    let running = start(Host::Native, None)?;
    let sql = Sql { address: running.address() };
    let elsewhere = running.directory.path().join("elsewhere.db");
    let (elsewhere, store) = (elsewhere.display(), running.directory.path().join("data/countersign.db"));
    for wrong in [
        format!("ATTACH '{elsewhere}' AS other"),
        format!("ATTACH '{}' AS other", store.display()),
        format!("VACUUM INTO '{elsewhere}'"),
        "SELECT load_extension('x')".into(),
        "SELECT writefile('x', 'y')".into(),
        "SELECT readfile('/etc/hostname')".into(),
        "PRAGMA synchronous = OFF".into(),
        "PRAGMA journal_mode = DELETE".into(),
    ] {
        let calls = [
            sql.query(&wrong, &[])?.map(drop),
            sql.execute(&wrong, &[])?.map(drop),
            sql.batch(&[statement(&wrong, &[])])?.map(drop),
        ];
        ensure!(calls.iter().all(Result::is_err), "{wrong} must fail: {calls:?}");
    }
    let found = kind(sql.query("DELETE FROM sqlite_schema", &[])?);
    ensure!(found.is_some(), "a query wrote");
    // SQLite's file format, section 1.3: write version 2 means a write-ahead log.
    let version = fs::read(running.directory.path().join("data/registrar.db"))?[18];
    ensure!(version == 2, "the file's write version is {version} and must be 2");
    let files = fs::read_dir(running.directory.path())?.flatten().map(|file| file.file_name());
    let files: Vec<_> = files.filter(|name| name != "data" && name != "logs").collect();
    ensure!(files.is_empty(), "{files:?}");
    Ok(())
}

/// The file is moved away under the running host, another takes its place, and the first returns.
pub(crate) fn reopens() -> Result<()> {
    let running = start(Host::Native, None)?;
    let sql = Sql { address: running.address() };
    ok(sql.execute("CREATE TABLE there (n INTEGER)", &[])?)?;
    let data = running.directory.path().join("data");
    let (path, aside) = (data.join("registrar.db"), data.join("aside.db"));
    fs::rename(&path, &aside)?;
    every_call_fails(sql, "no-such-database")?;
    fs::write(&path, "something else")?;
    let found = kind(sql.query("SELECT n FROM there", &[])?);
    ensure!(found.is_some(), "{found:?}");
    every_call_fails(sql, "other")?;
    fs::rename(&aside, &path)?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while sql.query("SELECT n FROM there", &[])?.is_err() {
        ensure!(Instant::now() < deadline, "the host does not reopen the database");
    }
    ok(sql.execute("INSERT INTO there VALUES (1)", &[])?).map(drop)
}

/// An endless statement ends at its deadline, and the next call works.
pub(crate) fn ends_endless_statements() -> Result<()> {
    let running = start(Host::Native, None)?;
    let sql = Sql { address: running.address() };
    ok(sql.execute("CREATE TABLE kept (n INTEGER)", &[])?)?;
    let found = kind(sql.execute(ENDLESS, &[])?);
    ensure!(found.as_deref() == Some("unavailable"), "{found:?}");
    let found = kind(sql.query(
        "WITH RECURSIVE endless (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT max(n) FROM endless",
        &[],
    )?);
    ensure!(found.as_deref() == Some("unavailable"), "{found:?}");
    ok(sql.execute("INSERT INTO kept VALUES (1)", &[])?)?;
    let found = ok(sql.query("SELECT n FROM kept", &[])?)?;
    ensure!(found == [[integer(1)]], "{found:?}");
    Ok(())
}
