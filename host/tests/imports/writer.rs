//! Writes in one transaction behave as writes in their own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_host::bindings::store::{Error, Expectation, Outcome};
use countersign_host::imports::store::{FILE_NAME, Shared, Store};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::BUSY;

struct Fixture {
    directory: TempDir,
    store: Arc<Shared>,
}

type Answer = Result<Outcome, Error>;

impl Fixture {
    /// A new store, after these statements.
    fn new(statements: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        drop(Store::create(directory.path(), BUSY).unwrap());
        connect(directory.path()).execute_batch(statements).unwrap();
        let store = Arc::new(Shared::new(directory.path().to_owned()).unwrap());
        Self { directory, store }
    }

    fn start_put(&self, key: &str, expect: Expectation) -> JoinHandle<Answer> {
        let (store, key) = (self.store.clone(), key.to_owned());
        tokio::spawn(async move { store.put(key, b"1".into(), expect, None).await })
    }

    /// Writes to all keys in this order and in one transaction. The writes queue while another
    /// process locks the database.
    async fn put_together(&self, puts: &[(&str, Expectation)]) -> Vec<Answer> {
        let other = connect(self.directory.path());
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let first = self.start_put("first", Expectation::Any);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut started = Vec::new();
        for (key, expect) in puts {
            started.push(self.start_put(key, *expect));
            tokio::task::yield_now().await;
        }
        other.execute_batch("COMMIT").unwrap();
        first.await.unwrap().unwrap();
        let mut answers = Vec::new();
        for put in started {
            answers.push(put.await.unwrap());
        }
        answers
    }

    fn is_there(&self, key: &str) -> bool {
        self.store.get(key).unwrap().is_some()
    }
}

fn connect(data: &Path) -> Connection {
    Connection::open(data.join(FILE_NAME)).unwrap()
}

fn is_stored(answer: &Answer) -> bool {
    matches!(answer, Ok(Outcome::Stored(Some(_))))
}

#[tokio::test]
async fn a_write_sees_the_writes_before_it_in_its_transaction() {
    let fixture = Fixture::new("");
    let answers = fixture
        .put_together(&[("a", Expectation::Absent), ("a", Expectation::Absent), ("b", Expectation::Absent)])
        .await;
    let [Ok(Outcome::Stored(Some(version))), Ok(Outcome::Conflict(Some(entry))), Ok(Outcome::Stored(_))] = &answers[..]
    else {
        panic!("{answers:?}")
    };
    assert_eq!(entry.version, *version);
}

#[tokio::test]
async fn a_failed_write_does_not_harm_the_rest_of_its_transaction() {
    let fixture = Fixture::new(
        "CREATE TRIGGER fails BEFORE INSERT ON entries WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, ''); END",
    );
    let puts = ["a", "bad", "not a key", "b"].map(|key| (key, Expectation::Any));
    let answers = fixture.put_together(&puts).await;
    assert!(is_stored(&answers[0]) && is_stored(&answers[3]), "{answers:?}");
    assert!(matches!(answers[1], Err(Error::Other(_))) && matches!(answers[2], Err(Error::InvalidKey)), "{answers:?}");
    assert!(fixture.is_there("a") && fixture.is_there("b") && !fixture.is_there("bad"));
}

#[tokio::test]
async fn a_failed_transaction_makes_none_of_its_writes() {
    let fixture = Fixture::new(
        "CREATE TRIGGER ends BEFORE INSERT ON entries WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ROLLBACK, ''); END",
    );
    let answers = fixture.put_together(&["a", "bad", "b"].map(|key| (key, Expectation::Any))).await;
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    assert!(["a", "bad", "b"].iter().all(|key| !fixture.is_there(key)));
    assert!(is_stored(&fixture.start_put("a", Expectation::Absent).await.unwrap()), "the next transaction succeeds");
}

#[tokio::test]
async fn a_write_whose_caller_gave_up_is_not_started() {
    let fixture = Fixture::new("");
    let other = connect(fixture.directory.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = fixture.start_put("first", Expectation::Any);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let given_up = fixture.start_put("given-up", Expectation::Any);
    tokio::task::yield_now().await;
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    other.execute_batch("COMMIT").unwrap();
    first.await.unwrap().unwrap();
    assert!(is_stored(&fixture.start_put("last", Expectation::Any).await.unwrap()));
    assert!(!fixture.is_there("given-up"));
}

#[tokio::test]
async fn a_database_that_stays_locked_is_unavailable() {
    let fixture = Fixture::new("");
    let other = connect(fixture.directory.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = fixture.start_put("a", Expectation::Any).await.unwrap();
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    assert!(!fixture.is_there("a"), "a reader must not wait for a writer");
    other.execute_batch("COMMIT").unwrap();
    assert!(is_stored(&fixture.start_put("a", Expectation::Absent).await.unwrap()));
}

#[tokio::test]
async fn a_missing_store_is_an_error() {
    let fixture = Fixture::new("");
    assert!(is_stored(&fixture.start_put("a", Expectation::Any).await.unwrap()));
    std::fs::remove_file(fixture.directory.path().join(FILE_NAME)).unwrap();
    for _ in 0..2 {
        let answer = fixture.start_put("a", Expectation::Any).await.unwrap();
        assert!(matches!(answer, Err(Error::NoSuchStore)), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_increments_are_all_counted() {
    const WRITERS: u64 = 64;
    const ADDITIONS: u64 = 5;
    let fixture = Arc::new(Fixture::new(""));
    let adding: Vec<_> = (0..WRITERS)
        .map(|_| {
            let fixture = fixture.clone();
            tokio::spawn(async move {
                for _ in 0..ADDITIONS {
                    add_one(&fixture).await;
                }
            })
        })
        .collect();
    // And one from another connection, as the command line has.
    let beside = fixture.directory.path().to_owned();
    let beside = tokio::task::spawn_blocking(move || {
        let store = Store::open(&beside, BUSY).unwrap();
        (0..20).for_each(|number| {
            store.put(&format!("beside-{number}"), b"", &Expectation::Absent, None).unwrap();
            // A server does not wait for other processes for long.
            std::thread::sleep(Duration::from_millis(5));
        });
    });
    for adding in adding {
        adding.await.unwrap();
    }
    beside.await.unwrap();
    let counted = fixture.store.get("counter").unwrap().unwrap().value;
    assert_eq!(counted, (WRITERS * ADDITIONS).to_string().into_bytes());
}

async fn add_one(fixture: &Fixture) {
    loop {
        let entry = fixture.store.get("counter").unwrap();
        let (number, expect) = match entry {
            Some(entry) => {
                let number: u64 = String::from_utf8(entry.value).unwrap().parse().unwrap();
                (number, Expectation::Matches(entry.version))
            }
            None => (0, Expectation::Absent),
        };
        let next = (number + 1).to_string().into_bytes();
        if let Outcome::Stored(_) = fixture.store.put("counter".into(), next, expect, None).await.unwrap() {
            return;
        }
    }
}
