//! What the component of an edge imports besides: `near`, which is this host's store, and `fetch`,
//! which reaches the origin alone.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::Guest;
use crate::bindings::store::{Capabilities, Entry, Error, Expectation, Freshness, Lookup, Outcome};
use crate::bindings::{fetch, near, store};
use crate::edge::{CURRENT, Origin};

/// The key `edge:current` is answered from memory.
impl near::Host for Guest {
    fn get(&mut self, key: String, _: Freshness) -> Result<Lookup, Error> {
        let entry = match key == CURRENT {
            true => self
                .origin()
                .and_then(|origin| origin.current())
                .map(|current| Entry { value: current.to_be_bytes().to_vec(), version: current }),
            false => self.imports.store.get(&key)?,
        };
        Ok(Lookup { entry, age_seconds: 0, stale: false })
    }

    /// All of the store is the component's own memory, so no app's part is another's.
    async fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        ttl: Option<u32>,
    ) -> Result<Outcome, Error> {
        self.imports.store.put(key, value, expect, ttl).await
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        self.imports.store.delete(key).await
    }

    fn describe(&mut self) -> Capabilities {
        store::Host::describe(self)
    }
}

impl fetch::Host for Guest {
    async fn send(&mut self, request: fetch::Request) -> Result<fetch::Response, fetch::Error> {
        let Some(origin) = self.origin().cloned() else { return Err(fetch::Error::Denied) };
        let sent = spawn_blocking(move || origin.send(request)).await;
        sent.unwrap_or_else(|error| Err(fetch::Error::Unreachable(error.to_string())))
    }
}

impl Guest {
    fn origin(&self) -> Option<&Arc<Origin>> {
        self.imports.grants.origin.as_ref()
    }
}
