//! The store as all apps of a process share it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::sleep;

use super::change::Change;
use super::connections::Connections;
use super::writer::Writer;
use crate::bindings::store::{Entry, Error, Expectation, Outcome, Page};
use crate::limits::{CLEAN_PAUSE, EXPIRED_PAUSE};

/// The store of one data directory: reads on any thread, writes through one.
#[derive(Debug)]
pub struct Shared {
    connections: Arc<Connections>,
    writer: Writer,
}

impl Shared {
    /// The store in `directory`, which is opened at the first call.
    ///
    /// # Errors
    /// If the writer's thread cannot be started.
    pub fn new(directory: PathBuf) -> io::Result<Self> {
        let connections = Arc::new(Connections::new(directory));
        let writer = Writer::start(connections.clone())?;
        Ok(Self { connections, writer })
    }

    /// `store.get`. Takes microseconds where the row is cached, and otherwise a read by SQLite.
    ///
    /// # Errors
    /// Those of `wit/store.wit`.
    pub fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.connections.get(key)
    }

    /// `store.list-keys`.
    ///
    /// # Errors
    /// Those of `wit/store.wit`.
    pub fn list_keys(&self, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Error> {
        self.connections.list_keys(prefix, cursor, limit)
    }

    /// `store.put`. Returns once the write is on the disk.
    ///
    /// # Errors
    /// Those of `wit/store.wit`; then nothing was written.
    pub async fn put(
        &self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        ttl: Option<u32>,
    ) -> Result<Outcome, Error> {
        self.writer.write(Change::Put { key, value, expect, ttl }).await
    }

    /// `store.delete`. Returns once the deletion is on the disk.
    ///
    /// # Errors
    /// Those of `wit/store.wit`; then nothing was deleted.
    pub async fn delete(&self, key: String) -> Result<(), Error> {
        self.writer.write(Change::Delete { key }).await.map(|_| ())
    }

    /// Deletes entries that have expired, some at a time, so that no request waits for many. Never
    /// returns. A server does this in the background.
    pub async fn clean(&self) {
        loop {
            // The connections log a failure.
            let is_clean = match self.connections.has_expired() {
                Ok(true) => self.writer.write(Change::DeleteExpired).await.is_err(),
                Ok(false) | Err(_) => true,
            };
            sleep(if is_clean { CLEAN_PAUSE } else { EXPIRED_PAUSE }).await;
        }
    }
}
