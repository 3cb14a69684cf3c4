//! SQLite keeps the promises of `wit/store.wit`: conditions, races, expiry, lists, and faults,
//! which never look like a missing entry.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use countersign_host::bindings::store::{Error, Expectation, Outcome};
use countersign_host::imports::store::{FILE_NAME, Shared, Store};
use tempfile::TempDir;

use crate::{BUSY, until};

fn new_store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(directory.path(), BUSY).unwrap();
    (directory, store)
}

/// The version that a write made; fails on a conflict.
fn put(store: &Store, key: &str, value: &[u8], expect: &Expectation) -> u64 {
    match store.put(key, value, expect, None).unwrap() {
        Outcome::Stored(version) => version.unwrap(),
        Outcome::Conflict(_) => panic!("conflict"),
    }
}

fn conflicts(store: &Store, key: &str, expect: &Expectation) -> bool {
    matches!(store.put(key, b"new", expect, None).unwrap(), Outcome::Conflict(_))
}

#[test]
fn a_value_is_read_as_it_was_written() {
    let (_directory, store) = new_store();
    assert!(store.get("a").unwrap().is_none());
    let version = put(&store, "a", b"\0one", &Expectation::Any);
    let entry = store.get("a").unwrap().unwrap();
    assert_eq!((entry.value.as_slice(), entry.version), (b"\0one".as_slice(), version));
    store.delete("a").unwrap();
    store.delete("a").unwrap();
    assert!(store.get("a").unwrap().is_none());
}

#[test]
fn a_write_whose_condition_fails_changes_nothing() {
    let (_directory, store) = new_store();
    assert!(conflicts(&store, "a", &Expectation::Matches(1)), "there is no entry to match");
    let first = put(&store, "a", b"1", &Expectation::Absent);
    assert!(conflicts(&store, "a", &Expectation::Absent));
    let second = put(&store, "a", b"2", &Expectation::Matches(first));
    match store.put("a", b"3", &Expectation::Matches(first), None).unwrap() {
        Outcome::Conflict(Some(entry)) => {
            assert_eq!((entry.value.as_slice(), entry.version), (b"2".as_slice(), second))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_version_is_never_reused() {
    let (_directory, store) = new_store();
    let first = put(&store, "a", b"1", &Expectation::Any);
    store.delete("a").unwrap();
    let again = put(&store, "a", b"1", &Expectation::Absent);
    assert_ne!(first, again);
    assert!(conflicts(&store, "a", &Expectation::Matches(first)));
}

#[test]
fn an_expired_entry_is_absent() {
    let (_directory, store) = new_store();
    store.put("short", b"", &Expectation::Any, Some(1)).unwrap();
    store.put("long", b"", &Expectation::Any, Some(1_000)).unwrap();
    until("the entry has expired", || store.get("short").unwrap().is_none());
    assert!(store.get("long").unwrap().is_some());
    assert_eq!(store.list_keys("", None, 10).unwrap().keys, ["long"]);
    put(&store, "short", b"new", &Expectation::Absent);
}

#[test]
fn a_list_is_ordered_and_complete() {
    let (_directory, store) = new_store();
    let mut keys: Vec<String> = (0..25).map(|number| format!("p:{number}")).collect();
    for key in keys.iter().chain(&["o".into(), "p".into(), "q".into(), "p;".replace(';', "_")]) {
        put(&store, key, b"", &Expectation::Any);
    }
    keys.sort();
    let (mut listed, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.list_keys("p:", cursor.as_deref(), 10).unwrap();
        assert!(page.keys.len() <= 10);
        listed.extend(page.keys);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, keys);
    assert_eq!(store.list_keys("", None, 1_000).unwrap().keys.len(), 29);
}

#[test]
fn each_bound_has_its_own_error() {
    let (_directory, store) = new_store();
    for key in ["", "a b", "ü", &"k".repeat(201)] {
        assert!(matches!(store.get(key), Err(Error::InvalidKey)), "{key}");
        assert!(matches!(store.put(key, b"", &Expectation::Any, None), Err(Error::InvalidKey)), "{key}");
    }
    put(&store, &"k".repeat(200), &[b'x'; 65_536], &Expectation::Any);
    assert!(matches!(store.put("a", &[b'x'; 65_537], &Expectation::Any, None), Err(Error::TooLarge)));
}

#[test]
fn one_of_racing_writers_wins_each_version() {
    const WRITERS: usize = 32;
    const INCREMENTS: usize = 10;
    let (directory, store) = new_store();
    put(&store, "counter", b"0", &Expectation::Absent);
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                let store = Store::open(directory.path(), BUSY).unwrap();
                (0..INCREMENTS).for_each(|_| increment(&store));
            });
        }
    });
    let counted = store.get("counter").unwrap().unwrap().value;
    assert_eq!(counted, (WRITERS * INCREMENTS).to_string().into_bytes());
}

fn increment(store: &Store) {
    loop {
        let entry = store.get("counter").unwrap().unwrap();
        let number: u64 = String::from_utf8(entry.value).unwrap().parse().unwrap();
        let next = (number + 1).to_string();
        let outcome = store.put("counter", next.as_bytes(), &Expectation::Matches(entry.version), None).unwrap();
        if let Outcome::Stored(_) = outcome {
            return;
        }
    }
}

#[test]
fn one_of_racing_writers_creates_an_absent_entry() {
    let (directory, _store) = new_store();
    let won = thread::scope(|scope| {
        let claims: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    let store = Store::open(directory.path(), BUSY).unwrap();
                    !conflicts(&store, "claim", &Expectation::Absent)
                })
            })
            .collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(won, 1);
}

#[test]
fn the_store_can_be_created_by_many_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("new/data");
    thread::scope(|scope| {
        for number in 0..16 {
            let data = &data;
            scope.spawn(move || {
                put(&Store::create(data, BUSY).unwrap(), &format!("k{number}"), b"", &Expectation::Absent)
            });
        }
    });
    let store = Store::open(&data, BUSY).unwrap();
    assert_eq!(store.list_keys("", None, 100).unwrap().keys.len(), 16);
    let names: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("draft")), "{names:?}");
}

#[test]
fn only_the_owner_can_read_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let store = Store::create(&data, BUSY).unwrap();
    put(&store, "a", b"", &Expectation::Any);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_missing_store_is_an_error() {
    let (directory, store) = new_store();
    put(&store, "a", b"", &Expectation::Any);
    fs::remove_file(directory.path().join(FILE_NAME)).unwrap();
    assert!(matches!(store.get("a"), Err(Error::NoSuchStore)));
    assert!(matches!(store.get("b"), Err(Error::NoSuchStore)));
    assert!(matches!(store.list_keys("", None, 10), Err(Error::NoSuchStore)));
    assert!(matches!(store.put("a", b"", &Expectation::Any, None), Err(Error::NoSuchStore)));
    assert!(matches!(Store::open(directory.path(), BUSY), Err(Error::NoSuchStore)));
}

#[test]
fn no_database_is_created_beside_an_orphaned_log() {
    let (directory, store) = new_store();
    put(&store, "a", b"", &Expectation::Any);
    fs::remove_file(directory.path().join(FILE_NAME)).unwrap();
    match Store::create(directory.path(), BUSY) {
        Err(Error::Other(text)) => assert!(text.contains("is missing but its log"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_replaced_store_is_an_error_until_it_is_reopened() {
    let (directory, store) = new_store();
    put(&store, "a", b"old", &Expectation::Any);
    let (other_directory, other) = new_store();
    put(&other, "a", b"new", &Expectation::Any);
    drop(other);
    fs::rename(other_directory.path().join(FILE_NAME), directory.path().join(FILE_NAME)).unwrap();
    assert!(matches!(store.get("a"), Err(Error::Unavailable(_))));
}

#[test]
fn a_corrupt_store_is_an_error() {
    let (directory, store) = new_store();
    put(&store, "a", b"", &Expectation::Any);
    drop(store);
    let path = directory.path().join(FILE_NAME);
    let length = fs::metadata(&path).unwrap().len();
    fs::write(&path, vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
    assert!(matches!(Store::open(directory.path(), BUSY), Err(Error::Other(_))));

    let (directory, store) = new_store();
    put(&store, "a", b"", &Expectation::Any);
    let path = directory.path().join(FILE_NAME);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another file, and the log of the database that was there").unwrap();
    assert!(matches!(store.get("a"), Err(Error::Unavailable(_))));
    drop(store);
    assert!(matches!(Store::open(directory.path(), BUSY), Err(Error::Other(_))));

    let (directory, store) = new_store();
    put(&store, "a", b"", &Expectation::Any);
    drop(store);
    let path = directory.path().join(FILE_NAME);
    let mut pages = fs::read(&path).unwrap();
    pages[4_096..].fill(0x5a);
    fs::write(&path, pages).unwrap();
    let answer = Store::open(directory.path(), BUSY).and_then(|store| store.get("a"));
    assert!(matches!(answer, Err(Error::Other(_))), "{answer:?}");
}

#[test]
fn a_newer_schema_is_refused_by_its_number() {
    let (directory, store) = new_store();
    drop(store);
    rusqlite::Connection::open(directory.path().join(FILE_NAME))
        .unwrap()
        .pragma_update(None, "user_version", 2)
        .unwrap();
    match Store::open(directory.path(), BUSY) {
        Err(Error::Other(text)) => assert!(text.contains("schema 2"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_that_stays_locked_is_unavailable() {
    let (directory, _store) = new_store();
    let other = rusqlite::Connection::open(directory.path().join(FILE_NAME)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = Store::open(directory.path(), Duration::from_millis(50)).unwrap();
    assert!(matches!(store.put("a", b"", &Expectation::Any, None), Err(Error::Unavailable(_))));
    assert!(store.get("a").unwrap().is_none(), "a reader must not wait for a writer");
}

/// Inserts entries that have expired.
fn fill(directory: &Path, entries: u32) {
    let database = rusqlite::Connection::open(directory.join(FILE_NAME)).unwrap();
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO entries (key, value, expires) SELECT 'operation:' || i, x'00', i FROM n";
    database.execute(fill, [entries]).unwrap();
}

fn count(directory: &Path) -> u32 {
    let database = rusqlite::Connection::open(directory.join(FILE_NAME)).unwrap();
    database.query_row("SELECT COUNT(*) FROM entries", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_write_removes_a_few_more_expired_entries_than_it_adds() {
    let (directory, store) = new_store();
    fill(directory.path(), 1_000);
    store.put("new", b"", &Expectation::Any, Some(60)).unwrap();
    assert_eq!(count(directory.path()), 1_000 - 4 + 1);
    assert!(store.get("operation:5").unwrap().is_none(), "the others are absent, as before");
    store.put("lasting", b"", &Expectation::Any, None).unwrap();
    assert_eq!(count(directory.path()), 1_000 - 4 + 2, "who adds nothing that expires removes nothing");
}

#[test]
fn a_server_removes_expired_entries_in_pieces() {
    let (directory, store) = new_store();
    fill(directory.path(), 600);
    store.put("lasting", b"", &Expectation::Any, None).unwrap();
    let shared = std::sync::Arc::new(Shared::new(directory.path().to_owned()).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn({
        let shared = shared.clone();
        async move { shared.clean().await }
    });
    let mut seen = std::collections::BTreeSet::new();
    until("all are removed", || {
        seen.insert(count(directory.path()));
        seen.contains(&1)
    });
    assert!(seen.iter().all(|left| [601, 345, 89, 1].contains(left)), "256 at a time: {seen:?}");
    assert!(store.get("lasting").unwrap().is_some());
}
