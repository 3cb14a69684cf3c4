//! The licences of a store, for commands that only read them. A server may run on the same store.

use std::path::Path;

use countersign::key::KeyHash;
use countersign::license::{License, RecordError};
use countersign::state::{State, StateError};
use countersign::store_keys;

use super::Store;
use crate::bindings::store::Error as StoreError;
use crate::limits::{COMMAND_BUSY_TIMEOUT, LIST_PAGE};

/// The licences in the store of a data directory. A store has hashes of keys, never keys.
#[derive(Debug)]
pub struct Reader(Store);

/// Why licences could not be read. The texts are for an operator.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// The data directory holds no store.
    #[error("the data directory has no store: `issue` and `serve` create one")]
    NoStore,
    /// The store did not answer.
    #[error("cannot use the store: {}", sentence(.0))]
    Store(StoreError),
    /// An entry is not a licence. The text is its key in the store.
    #[error("{0} ({1})")]
    Record(RecordError, String),
    /// An entry is not a licence's usage state. The text is its key in the store.
    #[error("{0} ({1})")]
    State(StateError, String),
}

impl From<StoreError> for ReaderError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchStore => Self::NoStore,
            other => Self::Store(other),
        }
    }
}

impl Reader {
    /// Opens the data directory's store.
    ///
    /// # Errors
    /// [`ReaderError::NoStore`] or [`ReaderError::Store`].
    pub fn open(directory: &Path) -> Result<Self, ReaderError> {
        Ok(Self(Store::open(directory, COMMAND_BUSY_TIMEOUT)?))
    }

    /// The licence with this key, if there is one, and its usage state.
    ///
    /// # Errors
    /// Any [`ReaderError`].
    pub fn get(&self, key: &KeyHash) -> Result<Option<(License, State)>, ReaderError> {
        let store_key = key.store_key();
        let Some(entry) = self.0.get(&store_key)? else { return Ok(None) };
        let license = read(&store_key, &entry.value)?;
        let state_key = license.id.state_key();
        let state = self.0.get(&state_key)?.map(|entry| State::from_bytes(&entry.value)).transpose();
        let state = state.map_err(|error| ReaderError::State(error, state_key))?;
        Ok(Some((license, state.unwrap_or_default())))
    }

    /// Calls `visit` with each licence and its key in the store, by ascending key.
    ///
    /// # Errors
    /// The first of `visit`, or a [`ReaderError`].
    pub fn for_each<E: From<ReaderError>>(
        &self,
        mut visit: impl FnMut(&str, License) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cursor = None;
        loop {
            let page =
                self.0.list_keys(store_keys::LICENSE, cursor.as_deref(), LIST_PAGE).map_err(ReaderError::from)?;
            for store_key in &page.keys {
                if let Some(entry) = self.0.get(store_key).map_err(ReaderError::from)? {
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

fn read(store_key: &str, record: &[u8]) -> Result<License, ReaderError> {
    License::from_json(record).map_err(|error| ReaderError::Record(error, store_key.to_owned()))
}

fn sentence(error: &StoreError) -> &str {
    match error {
        StoreError::Unavailable(text) | StoreError::Other(text) => text,
        StoreError::NoSuchStore => "it does not exist",
        StoreError::AccessDenied => "the file's permissions do not allow it",
        StoreError::Throttled => "it gets too many calls",
        StoreError::TooLarge => "the value is too large",
        StoreError::InvalidKey => "a key has a character that is not allowed",
        StoreError::Unsupported => "it does not support this call",
    }
}
