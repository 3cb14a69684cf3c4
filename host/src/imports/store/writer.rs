//! The thread that writes: changes that wait together are committed together.
//!
//! # Design decisions
//! - A commit waits for the disk, for as long with many changes as with one. So one thread takes
//!   all changes that are waiting, commits them in one transaction, in order and each under its own
//!   condition, and answers when all are on the disk.
//! - A change whose request has already met its deadline is dropped: nobody waits for its outcome.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::change::Change;
use super::connections::Connections;
use crate::bindings::store::{Error, Outcome};
use crate::limits::WRITES_PER_COMMIT;

/// The end that requests hold. Dropping it ends the thread, after the changes that it was given.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Write>>,
    thread: Option<JoinHandle<()>>,
}

/// A change, and where its outcome goes.
#[derive(Debug)]
struct Write {
    change: Change,
    caller: oneshot::Sender<Result<Outcome, Error>>,
}

impl Writer {
    pub(super) fn start(connections: Arc<Connections>) -> io::Result<Self> {
        let (queue, writes) = mpsc::channel(WRITES_PER_COMMIT);
        let thread = thread::Builder::new().name("writer".into()).spawn(move || write_all(&connections, writes))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) async fn write(&self, change: Change) -> Result<Outcome, Error> {
        let ended = || Error::Unavailable("the writer has ended".into());
        let (caller, outcome) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(Write { change, caller }).await.map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        // A panic of the thread has been reported already.
        let _: Option<thread::Result<()>> = self.thread.take().map(JoinHandle::join);
    }
}

fn write_all(connections: &Connections, mut queue: mpsc::Receiver<Write>) {
    let mut batch = Vec::with_capacity(WRITES_PER_COMMIT);
    while queue.blocking_recv_many(&mut batch, WRITES_PER_COMMIT) > 0 {
        let writes = batch.drain(..).filter(|write| !write.caller.is_closed());
        let (changes, callers): (Vec<_>, Vec<_>) = writes.map(|Write { change, caller }| (change, caller)).unzip();
        if changes.is_empty() {
            continue;
        }
        let outcomes = connections.commit(&changes);
        let outcomes = outcomes.unwrap_or_else(|error| vec![Err(error); changes.len()]);
        for (caller, outcome) in callers.into_iter().zip(outcomes) {
            // The request may have met its deadline in the meantime.
            let _: Result<(), _> = caller.send(outcome);
        }
    }
}
