//! A cached row is never older than the last acknowledged write.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use countersign_host::bindings::store::{Error, Expectation, Outcome};
use countersign_host::imports::store::{FILE_NAME, Shared, Store};
use tempfile::TempDir;

use crate::{BUSY, until};

/// The variable with the task of [`other_process`] and its data directory.
const OTHER: &str = "CACHE_TEST_OTHER";

fn new_database() -> (TempDir, Shared) {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::create(directory.path(), BUSY).unwrap());
    let database = Shared::new(directory.path().to_owned()).unwrap();
    (directory, database)
}

/// Writes as a request does.
fn put(store: &Shared, key: &str, value: &str, ttl: Option<u32>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    loop {
        match runtime.block_on(store.put(key.into(), value.into(), Expectation::Any, ttl)) {
            // A server does not wait for other processes for long.
            Err(Error::Unavailable(_)) => {}
            outcome => return assert!(matches!(outcome, Ok(Outcome::Stored(_)))),
        }
    }
}

fn number(database: &Shared, key: &str) -> Option<u64> {
    let entry = database.get(key).unwrap()?;
    Some(String::from_utf8(entry.value).unwrap().parse().unwrap())
}

fn set(store: &Store, key: &str, number: u64) {
    let outcome = store.put(key, number.to_string().as_bytes(), &Expectation::Any, None).unwrap();
    assert!(matches!(outcome, Outcome::Stored(_)));
}

/// Not a test but the process that the tests below start. Ends once its output is closed.
#[test]
#[ignore = "started by the other tests"]
fn other_process() {
    let Ok(arguments) = env::var(OTHER) else { return };
    let (task, data) = arguments.split_once(' ').unwrap();
    let data = Path::new(data);
    let say = |line: &dyn std::fmt::Display| writeln!(std::io::stdout().lock(), "\nsaid {line}").unwrap();
    match task {
        "count" => {
            let store = Store::open(data, BUSY).unwrap();
            for number in 1.. {
                set(&store, "counter", number);
                say(&number);
            }
        }
        // As the command line does: a new connection for every change.
        "reopen" => {
            for number in 1.. {
                set(&Store::open(data, BUSY).unwrap(), "counter", number);
                say(&number);
            }
        }
        // Requests an exclusive lock, which SQLite refuses while others have the database open.
        "seize" => {
            let connection = rusqlite::Connection::open(data.join(FILE_NAME)).unwrap();
            say(&connection.pragma_update(None, "journal_mode", "DELETE").is_ok());
        }
        other => panic!("{other}"),
    }
}

struct Other {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(task: &str, data: &Path) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "cache::other_process", "--nocapture"])
            .env(OTHER, format!("{task} {}", data.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next line of its output.
    fn next_line(&mut self) -> String {
        self.lines.find_map(|line| line.unwrap().strip_prefix("said ").map(str::to_owned)).unwrap()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn what_another_process_wrote_is_seen_at_once() {
    for task in ["count", "reopen"] {
        let (directory, database) = new_database();
        assert_eq!(number(&database, "counter"), None);
        let mut other = Other::start(task, directory.path());
        for _ in 0..300 {
            let told: u64 = other.next_line().parse().unwrap();
            assert!(number(&database, "counter") >= Some(told), "{task}: {told} was written");
        }
    }
}

#[test]
fn no_reader_is_behind_a_writer() {
    const WRITES: u64 = 300;
    let (directory, database) = new_database();
    let (told, done) = (AtomicU64::new(0), AtomicBool::new(false));
    set(&Store::open(directory.path(), BUSY).unwrap(), "counter", 0);
    thread::scope(|scope| {
        for reader in 0..3 {
            let (database, told, done) = (&database, &told, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    let before = told.load(Ordering::Acquire);
                    assert!(number(database, "counter") >= Some(before));
                    assert_eq!(number(database, &format!("nothing-{reader}")), None);
                }
            });
        }
        // By the server, by another connection, and by both in turn.
        let store = Store::open(directory.path(), BUSY).unwrap();
        for number in 1..=WRITES {
            if number % 2 == 0 {
                set(&store, "counter", number);
            } else {
                put(&database, "counter", &number.to_string(), None);
            }
            told.store(number, Ordering::Release);
            assert_eq!(self::number(&database, "counter"), Some(number));
        }
        done.store(true, Ordering::Release);
    });
}

/// Writers of the server and of another process, each with its own key. Rows that stay cached after
/// a commit of the server must not hide what others wrote between two of its commits.
#[test]
fn no_reader_is_behind_any_of_several_writers() {
    const WRITERS: usize = 6;
    const WRITES: u64 = 60;
    let (directory, database) = new_database();
    let told: [AtomicU64; WRITERS] = Default::default();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    for (key, told) in told.iter().enumerate() {
                        let before = told.load(Ordering::Acquire);
                        assert!(number(&database, &format!("counter-{key}")).unwrap_or(0) >= before);
                    }
                }
            });
        }
        let writing: Vec<_> = told
            .iter()
            .enumerate()
            .map(|(key, told)| {
                let (server, directory) = (&database, directory.path());
                scope.spawn(move || {
                    let (key, store) = (format!("counter-{key}"), Store::open(directory, BUSY).unwrap());
                    let is_server = !key.ends_with('0');
                    for number in 1..=WRITES {
                        if is_server {
                            put(server, &key, &number.to_string(), None)
                        } else {
                            set(&store, &key, number)
                        }
                        told.store(number, Ordering::Release);
                    }
                })
            })
            .collect();
        writing.into_iter().for_each(|writing| writing.join().unwrap());
        done.store(true, Ordering::Release);
    });
}

#[test]
fn an_absent_entry_is_seen_as_soon_as_it_is_written() {
    let (directory, database) = new_database();
    let store = Store::open(directory.path(), BUSY).unwrap();
    for round in 0..50 {
        assert_eq!(number(&database, "a"), None);
        set(&store, "a", round);
        assert_eq!(number(&database, "a"), Some(round));
        assert_eq!(number(&database, "a"), Some(round));
        store.delete("a").unwrap();
    }
}

#[test]
fn a_cached_row_expires() {
    let (_directory, database) = new_database();
    put(&database, "short", "", Some(2));
    assert!(database.get("short").unwrap().is_some());
    assert!(database.get("short").unwrap().is_some());
    until("the row has expired", || database.get("short").unwrap().is_none());
}

#[test]
fn a_restarted_log_hides_no_write() {
    let (directory, database) = new_database();
    let other = rusqlite::Connection::open(directory.path().join(FILE_NAME)).unwrap();
    let store = Store::open(directory.path(), BUSY).unwrap();
    for round in 0..20 {
        set(&store, "a", round);
        assert_eq!(number(&database, "a"), Some(round));
        let mode = ["PASSIVE", "RESTART", "TRUNCATE"][usize::try_from(round % 3).unwrap()];
        other.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).unwrap();
        assert_eq!(number(&database, "a"), Some(round), "after {mode}");
    }
    other.execute_batch("UPDATE entries SET value = CAST('77' AS BLOB); VACUUM").unwrap();
    assert_eq!(number(&database, "a"), Some(77));
}

/// A process that closes a file loses its locks on it (POSIX), and each connection checks the file.
#[test]
fn no_other_process_can_seize_a_database_that_is_open() {
    let (directory, database) = new_database();
    thread::scope(|scope| {
        for reader in 0..8 {
            let database = &database;
            scope
                .spawn(move || (0..100).for_each(|key| assert_eq!(number(database, &format!("{reader}-{key}")), None)));
        }
    });
    assert!(matches!(database.get("not a key"), Err(Error::InvalidKey)));
    assert_eq!(Other::start("seize", directory.path()).next_line(), "false");
    drop(database);
    assert_eq!(Other::start("seize", directory.path()).next_line(), "true", "once it is closed they can");
}

#[test]
fn a_cached_row_does_not_outlive_its_database() {
    let (directory, database) = new_database();
    let path = directory.path().join(FILE_NAME);
    put(&database, "a", "1", None);
    assert_eq!(number(&database, "a"), Some(1));

    let aside = directory.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    assert!(matches!(database.get("a"), Err(Error::NoSuchStore)));
    assert!(matches!(database.get("a"), Err(Error::NoSuchStore)));
    fs::rename(&aside, &path).unwrap();
    assert_eq!(number(&database, "a"), Some(1), "the row returns with its database");

    let other = tempfile::tempdir().unwrap();
    set(&Store::create(other.path(), BUSY).unwrap(), "a", 2);
    fs::remove_file(directory.path().join(format!("{FILE_NAME}-wal"))).unwrap();
    fs::remove_file(directory.path().join(format!("{FILE_NAME}-shm"))).unwrap();
    fs::rename(other.path().join(FILE_NAME), &path).unwrap();
    assert!(matches!(database.get("a"), Err(Error::Unavailable(_))));
    assert_eq!(number(&database, "a"), Some(2), "the next call opens the new one");
    set(&Store::open(directory.path(), BUSY).unwrap(), "a", 3);
    assert_eq!(number(&database, "a"), Some(3));
}

#[test]
fn a_file_that_is_not_a_database_is_an_error() {
    let (directory, database) = new_database();
    assert_eq!(number(&database, "a"), None);
    fs::remove_file(directory.path().join(FILE_NAME)).unwrap();
    fs::write(directory.path().join(FILE_NAME), "another file, and the log of the database that was there").unwrap();
    assert!(matches!(database.get("a"), Err(Error::Unavailable(_))));
    assert!(matches!(database.get("a"), Err(Error::Other(_))));
}
