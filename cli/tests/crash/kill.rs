//! `kill -9` in the middle of writes loses nothing that was acknowledged.

use std::collections::BTreeSet;
use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use countersign_host::bindings::store::{Error, Expectation, Outcome};
use countersign_host::imports::store::{FILE_NAME, Shared, Store};

const BUSY: Duration = Duration::from_secs(30);
/// The variable that gives [`writer`] the prefix of its keys and its data directory.
const WRITER: &str = "KILL_TEST_WRITER";
/// The end of the prefix for a writer that writes as a server does.
const SERVER: &str = "server";

/// The program that [`acknowledged_writes_survive`] starts and kills: writes, and prints what was
/// acknowledged.
#[test]
#[ignore = "started by the other test"]
fn writer() {
    let Ok(arguments) = env::var(WRITER) else { return };
    let (prefix, data) = arguments.split_once(' ').unwrap();
    if prefix.ends_with(SERVER) {
        write_together(prefix, Path::new(data))
    } else {
        write_alone(prefix, Path::new(data))
    }
}

/// Writes as a command does, one at a time.
fn write_alone(prefix: &str, data: &Path) {
    let store = Store::open(data, BUSY).unwrap();
    for number in 0.. {
        let key = format!("{prefix}-{number}");
        acknowledge(&key, store.put(&key, &[b'v'; 900], &Expectation::Absent, None).unwrap());
    }
}

/// Writes as a server does, many at a time.
fn write_together(prefix: &str, data: &Path) {
    let store = &Shared::new(data.to_owned()).unwrap();
    thread::scope(|scope| {
        for task in 0..8 {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                for number in 0.. {
                    let key = format!("{prefix}-{task}-{number}");
                    let put = store.put(key.clone(), vec![b'v'; 900], Expectation::Absent, None);
                    match runtime.block_on(put) {
                        // Others hold the lock; a server does not wait long for it.
                        Err(Error::Unavailable(_)) => {}
                        written => acknowledge(&key, written.unwrap()),
                    }
                }
            });
        }
    });
}

fn acknowledge(key: &str, written: Outcome) {
    assert!(matches!(written, Outcome::Stored(_)));
    writeln!(std::io::stdout().lock(), "\nacknowledged {key}").unwrap();
}

#[test]
fn acknowledged_writes_survive() {
    const ROUNDS: usize = 8;
    let directory = tempfile::tempdir().unwrap();
    drop(Store::create(directory.path(), BUSY).unwrap());
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let writers = ["command", "another", SERVER];
        let mut writers = writers.map(|writer| start_writer(directory.path(), &format!("round{round}-{writer}")));
        let said = writers.each_mut().map(|writer| crate::support::lines(writer.stdout.take().unwrap()));
        // The writers' total counts: the others may lock out the one like a server.
        let mut lines: [Vec<String>; 3] = Default::default();
        crate::support::until("they have written", || {
            for (lines, said) in lines.iter_mut().zip(&said) {
                lines.extend(said.try_iter());
            }
            (lines.iter().map(Vec::len).sum::<usize>() > 200 + 93 * round).then_some(())
        });
        for writer in &mut writers {
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
        for (mut lines, said) in lines.into_iter().zip(said) {
            lines.extend(said);
            // The kill may cut the last line short, to the name of another key, so it is left out.
            let mut keys: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("acknowledged ")).collect();
            keys.pop();
            acknowledged.extend(keys.into_iter().map(str::to_owned));
        }
        check(directory.path(), &acknowledged);
    }
}

fn start_writer(data: &Path, prefix: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "kill::writer", "--nocapture"])
        .env(WRITER, format!("{prefix} {}", data.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Opens the store as after a crash.
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
fn an_issued_licence_survives_a_kill_of_another_issue() {
    let directory = tempfile::tempdir().unwrap();
    let issue = ["issue", "--json", "--product", "p", "--plan", "pro"];
    let mut keys = Vec::new();
    for round in 0..12 {
        let mut beside = crate::support::countersign(directory.path(), &issue).stdout(Stdio::piped()).spawn().unwrap();
        // An `issue` takes about 60 ms.
        thread::sleep(Duration::from_millis(8 * round));
        beside.kill().unwrap();
        let printed = beside.wait_with_output().unwrap().stdout;
        let (code, stdout, stderr) = crate::support::run(directory.path(), &issue);
        assert_eq!(code, 0, "{stderr}");
        for output in [printed, stdout.into_bytes()] {
            // A key is printed only after its licence is stored.
            if let Ok(issued) = serde_json::from_slice::<serde_json::Value>(&output) {
                keys.push(issued["key"].as_str().unwrap().to_owned());
            }
        }
    }
    assert!(keys.len() >= 12);
    for key in keys {
        assert_eq!(crate::support::run(directory.path(), &["validate", &key]).0, 0);
    }
}
