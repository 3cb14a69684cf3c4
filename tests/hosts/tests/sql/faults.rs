//! A database that is kept, gone, or was never given.

use std::fs;
use std::slice::from_ref;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use countersign_host_tests::hosts::{App, Fault, Host, Setup};
use countersign_host_tests::sql::{Sql, integer, statement};

use crate::{committed, kind, ok, start};

/// Counts to where nobody waits for, and keeps the database meanwhile.
const ENDLESS: &str = "WITH RECURSIVE endless (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) \
    INSERT INTO kept SELECT max(n) FROM endless";

/// How long is waited until that has begun.
const BEGUN_WITHIN: Duration = Duration::from_millis(500);

/// The ways in which a host's database can be made not to answer, with the error's case for each.
pub(crate) fn of(host: Host) -> &'static [(Fault, &'static str)] {
    match host {
        Host::Native => &[(Fault::Unknown, "no-such-database"), (Fault::Corrupt, "other")],
        // Spin refuses to start with a label that its configuration does not know, and denies all
        // others.
        _ => &[(Fault::Unknown, "access-denied"), (Fault::Denied, "access-denied")],
    }
}

/// Every call gives this error.
pub(crate) fn says(sql: Sql, error: &str) -> Result<()> {
    let found = [
        kind(sql.query("SELECT 1", &[])?),
        kind(sql.execute("CREATE TABLE a (b)", &[])?),
        kind(sql.batch(&[statement("CREATE TABLE a (b)", &[])])?),
    ];
    ensure!(found.iter().all(|kind| kind.as_deref() == Some(error)), "{found:?} in place of {error}");
    Ok(())
}

/// Another process writes, for longer than anyone waits.
pub(crate) fn busy(host: Host) -> Result<()> {
    let running = start(host, None)?;
    let sql = Sql { address: running.address() };
    ok(sql.execute("CREATE TABLE kept (n INTEGER)", &[])?)?;
    let other = host.start_beside(&running, &Setup { app: App::SqlContract, ..Setup::default() })?;
    let keeper = Sql { address: other.address() };
    let keeping = thread::spawn(move || keeper.execute(ENDLESS, &[]));
    thread::sleep(BEGUN_WITHIN);
    let insert = statement("INSERT INTO kept VALUES (1)", &[]);
    let found = kind(sql.batch(from_ref(&insert))?);
    let read = ok(sql.query("SELECT count(*) FROM kept", &[])?)?;
    drop(other);
    // However that ended: by its own host or with it.
    let _ = keeping.join();
    ensure!(found.as_deref() == Some("busy"), "{found:?}");
    ensure!(read == [[integer(0)]], "{read:?}");
    committed(sql.batch(&[insert])?).context("after the other has ended").map(drop)
}

/// What a guest might try with nothing but statements.
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
        ensure!(calls.iter().all(Result::is_err), "{wrong} was done: {calls:?}");
    }
    let found = kind(sql.query("DELETE FROM sqlite_schema", &[])?);
    ensure!(found.is_some(), "a query wrote");
    // SQLite's file format, section 1.3: the version to write by is that of a log.
    let version = fs::read(running.directory.path().join("data/registrar.db"))?[18];
    ensure!(version == 2, "the file's version is {version}");
    let files = fs::read_dir(running.directory.path())?.flatten().map(|file| file.file_name());
    let files: Vec<_> = files.filter(|name| name != "data" && name != "logs").collect();
    ensure!(files.is_empty(), "{files:?}");
    Ok(())
}

/// A file is moved away under the running host, another is put in its place, and the first comes
/// back.
pub(crate) fn comes_back() -> Result<()> {
    let running = start(Host::Native, None)?;
    let sql = Sql { address: running.address() };
    ok(sql.execute("CREATE TABLE there (n INTEGER)", &[])?)?;
    let data = running.directory.path().join("data");
    let (path, aside) = (data.join("registrar.db"), data.join("aside.db"));
    fs::rename(&path, &aside)?;
    says(sql, "no-such-database")?;
    fs::write(&path, "something else")?;
    let found = kind(sql.query("SELECT n FROM there", &[])?);
    ensure!(found.is_some(), "{found:?}");
    says(sql, "other")?;
    fs::rename(&aside, &path)?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while sql.query("SELECT n FROM there", &[])?.is_err() {
        ensure!(Instant::now() < deadline, "it is not opened");
    }
    ok(sql.execute("INSERT INTO there VALUES (1)", &[])?).map(drop)
}

/// The next call waits no longer than it would for others.
pub(crate) fn takes_too_long() -> Result<()> {
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
