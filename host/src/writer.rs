//! A server's writes: those that wait together are committed together.
//!
//! # Design decisions
//! - A commit waits for the disk, for as long with many writes in it as with one. So one thread takes whatever has come in meanwhile,
//!   makes it in one transaction, each write on its own condition and after those before it, and answers when all of it is on the disk.
//! - A write that fails leaves the others of its transaction as they are: it changes rows in one statement, and SQLite undoes that
//!   alone. Where it cannot, as on a full disk, it undoes the transaction, and all of them have failed.
//! - A write that nobody waits for any more, because its request has met its deadline, is not begun.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use crate::bindings::store::{Error, Expectation, Outcome};
use crate::database::Database;
use crate::limits::WRITES_PER_COMMIT;
use crate::store::Write;

/// The end that calls hold. Dropping it ends the thread, after the writes that it has been given.
#[derive(Debug)]
pub struct Writer {
    queue: Option<mpsc::Sender<Pending>>,
    thread: Option<JoinHandle<()>>,
}

/// A write, and who waits for it.
#[derive(Debug)]
pub(crate) struct Pending {
    change: Change,
    made: Option<Result<Outcome, Error>>,
    answer: oneshot::Sender<Result<Outcome, Error>>,
}

#[derive(Debug)]
enum Change {
    Put { key: String, value: Vec<u8>, expect: Expectation, ttl: Option<u32> },
    Delete { key: String },
}

impl Writer {
    /// Starts the thread that writes to the database.
    pub fn start(database: Arc<Database>) -> std::io::Result<Self> {
        let (queue, pending) = mpsc::channel(WRITES_PER_COMMIT);
        let thread = thread::Builder::new().name("writer".into()).spawn(move || write_all(&database, pending))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// `store.put`.
    pub async fn put(
        &self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        ttl: Option<u32>,
    ) -> Result<Outcome, Error> {
        self.write(Change::Put { key, value, expect, ttl }).await
    }

    /// `store.delete`.
    pub async fn delete(&self, key: String) -> Result<(), Error> {
        self.write(Change::Delete { key }).await.map(|_| ())
    }

    async fn write(&self, change: Change) -> Result<Outcome, Error> {
        let ended = || Error::Unavailable("the writer has ended".into());
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(Pending { change, made: None, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        // A thread that panicked has said so.
        let _: Option<thread::Result<()>> = self.thread.take().map(JoinHandle::join);
    }
}

impl Pending {
    pub(crate) fn key(&self) -> &str {
        match &self.change {
            Change::Put { key, .. } | Change::Delete { key } => key,
        }
    }

    /// Makes the write, if anybody still waits for it.
    pub(crate) fn make(&mut self, write: &Write<'_>) -> Result<(), &Error> {
        if self.answer.is_closed() {
            return Ok(());
        }
        let made = match &self.change {
            Change::Put { key, value, expect, ttl } => write.put(key, value, expect, *ttl),
            Change::Delete { key } => write.delete(key).map(|()| Outcome::Stored(None)),
        };
        self.made.insert(made).as_ref().map(|_| ())
    }
}

fn write_all(database: &Database, mut queue: mpsc::Receiver<Pending>) {
    let mut batch = Vec::with_capacity(WRITES_PER_COMMIT);
    while queue.blocking_recv_many(&mut batch, WRITES_PER_COMMIT) > 0 {
        let committed = database.commit(&mut batch);
        for Pending { made, answer, .. } in batch.drain(..) {
            let outcome = committed.clone().and_then(|()| made.unwrap_or(Err(Error::Unavailable("given up".into()))));
            // Whoever waited may have met a deadline meanwhile.
            let _: Result<(), _> = answer.send(outcome);
        }
    }
}
