//! `kill -9` in the middle of writes loses nothing that was acknowledged.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use countersign_host::bindings::store::{Expectation, Outcome};
use countersign_host::store::{FILE_NAME, Store};

const BUSY: Duration = Duration::from_secs(30);
/// Tells [`writer`] its data directory and what its keys begin with.
const WRITER: &str = "KILL_TEST_WRITER";

/// Not a test but the program that [`acknowledged_writes_survive`] starts and kills: writes, and says what was acknowledged.
#[test]
#[ignore = "started by the other test"]
fn writer() {
    let Ok(arguments) = env::var(WRITER) else { return };
    let (prefix, data) = arguments.split_once(' ').unwrap();
    let store = Store::open(Path::new(data), BUSY).unwrap();
    for number in 0.. {
        let key = format!("{prefix}-{number}");
        let written = store.put(&key, &[b'v'; 900], &Expectation::Absent, None).unwrap();
        assert!(matches!(written, Outcome::Stored(_)));
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nacknowledged {key}").unwrap();
    }
}

#[test]
fn acknowledged_writes_survive() {
    const ROUNDS: u64 = 8;
    let directory = tempfile::tempdir().unwrap();
    drop(Store::create(directory.path(), BUSY).unwrap());
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut writers: Vec<Child> =
            (0..3).map(|number| start_writer(directory.path(), &format!("round{round}-writer{number}"))).collect();
        thread::sleep(Duration::from_millis(100 + 37 * round));
        for writer in &mut writers {
            writer.kill().unwrap();
        }
        for mut writer in writers {
            let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
            // A line that the kill cut short is no acknowledgement, but a shorter key: it is there too if the longer is not, so
            // the last line is left out.
            let mut keys: Vec<String> =
                lines.filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned)).collect();
            keys.pop();
            acknowledged.extend(keys);
            writer.wait().unwrap();
        }
        check(directory.path(), &acknowledged);
    }
    assert!(acknowledged.len() > 20, "only {} writes before the kills", acknowledged.len());
}

fn start_writer(data: &Path, prefix: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "writer", "--nocapture"])
        .env(WRITER, format!("{prefix} {}", data.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Opens the store anew, as after a crash.
fn check(data: &Path, acknowledged: &BTreeSet<String>) {
    let store = Store::open(data, BUSY).unwrap();
    for key in acknowledged {
        assert!(store.get(key).unwrap().is_some(), "{key} is lost");
    }
    let connection = rusqlite::Connection::open(data.join(FILE_NAME)).unwrap();
    let integrity: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
}

#[test]
fn an_issued_licence_survives_whatever_is_killed_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let issue = ["issue", "--json", "--product", "p", "--plan", "pro"];
    let mut keys = Vec::new();
    for round in 0..12 {
        let mut beside = support::countersign(directory.path(), &issue).stdout(Stdio::piped()).spawn().unwrap();
        thread::sleep(Duration::from_millis(round));
        beside.kill().unwrap();
        let printed = beside.wait_with_output().unwrap().stdout;
        let (code, stdout, stderr) = support::run(directory.path(), &issue);
        assert_eq!(code, 0, "{stderr}");
        for output in [printed, stdout.into_bytes()] {
            // A key that was printed was stored before.
            if let Ok(issued) = serde_json::from_slice::<serde_json::Value>(&output) {
                keys.push(issued["key"].as_str().unwrap().to_owned());
            }
        }
    }
    assert!(keys.len() >= 12);
    for key in keys {
        assert_eq!(support::run(directory.path(), &["validate", &key]).0, 0);
    }
}
