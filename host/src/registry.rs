//! The licences of a store, for commands that only read: the same store as the server's.

use std::path::Path;

use countersign::key::KeyHash;
use countersign::license::{License, RecordError};
use countersign::state::{State, StateError};
use countersign::store_keys;

use crate::bindings::store::Error as StoreError;
use crate::limits::{COMMAND_BUSY_TIMEOUT, LIST_PAGE};
use crate::store::Store;

/// The licences of one data directory. Holds hashes of keys, never keys.
#[derive(Debug)]
pub struct Registry(Store);

/// Why a command could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The data directory holds no store.
    #[error("there is no store in this data directory: `issue` and `serve` make one")]
    NoStore,
    /// The store did not answer.
    #[error("the store could not be used: {}", sentence(.0))]
    Store(StoreError),
    /// The store's content is not a licence.
    #[error("{0} ({1})")]
    Record(RecordError, String),
    /// The store's content does not say what has become of a licence.
    #[error("{0} ({1})")]
    State(StateError, String),
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchStore => Self::NoStore,
            other => Self::Store(other),
        }
    }
}

impl Registry {
    /// Opens the data directory's store.
    pub fn open(directory: &Path) -> Result<Self, RegistryError> {
        Ok(Self(Store::open(directory, COMMAND_BUSY_TIMEOUT)?))
    }

    /// The licence with this key, if there is one, and what has become of it.
    pub fn get(&self, key: &KeyHash) -> Result<Option<(License, State)>, RegistryError> {
        let store_key = key.store_key();
        let Some(entry) = self.0.get(&store_key)? else { return Ok(None) };
        let license = read(&store_key, &entry.value)?;
        let state_key = license.id.state_key();
        let state = self.0.get(&state_key)?.map(|entry| State::from_bytes(&entry.value)).transpose();
        let state = state.map_err(|error| RegistryError::State(error, state_key))?;
        Ok(Some((license, state.unwrap_or_default())))
    }

    /// Calls `visit` with each licence and its key in the store, by ascending key.
    pub fn for_each<E: From<RegistryError>>(
        &self,
        mut visit: impl FnMut(&str, License) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cursor = None;
        loop {
            let page =
                self.0.list_keys(store_keys::LICENSE, cursor.as_deref(), LIST_PAGE).map_err(RegistryError::from)?;
            for store_key in &page.keys {
                if let Some(entry) = self.0.get(store_key).map_err(RegistryError::from)? {
                    visit(store_key, read(store_key, &entry.value)?)?;
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }
}

fn read(store_key: &str, record: &[u8]) -> Result<License, RegistryError> {
    License::from_json(record).map_err(|error| RegistryError::Record(error, store_key.to_owned()))
}

/// A store's error for an operator.
fn sentence(error: &StoreError) -> &str {
    match error {
        StoreError::Unavailable(text) | StoreError::Other(text) => text,
        StoreError::NoSuchStore => "it does not exist",
        StoreError::AccessDenied => "the file's permissions do not allow it",
        StoreError::Throttled => "too many calls",
        StoreError::TooLarge => "the value is too large for it",
        StoreError::InvalidKey => "a key has a character that it does not take",
        StoreError::Unsupported => "it cannot do that",
    }
}
