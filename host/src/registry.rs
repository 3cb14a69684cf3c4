//! What the commands do with licences: the same store as the server's, in one transaction each.

use std::path::Path;

use countersign::key::{self, KeyHash, ReadError};
use countersign::record::{License, LicenseId, RecordError, Status};
use countersign::state::{State, StateError};

use crate::bindings::store::{Error as StoreError, Expectation, Outcome};
use crate::limits::{COMMAND_BUSY_TIMEOUT, LIST_PAGE};
use crate::store::Store;

/// What every licence's key in the store begins with.
const PREFIX: &str = "license:";

/// The licences of one data directory. Holds hashes of keys, never keys.
#[derive(Debug)]
pub struct Registry(Store);

/// Why a command could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Neither an id nor a key: the text itself is wrong.
    #[error("this is no licence's id, and as a key it {0}")]
    Name(#[from] ReadError),
    /// There is no such licence.
    #[error("there is no such licence")]
    NoSuchLicense,
    /// There is a licence with this key already.
    #[error("there is a licence with this key already")]
    KeyTaken,
    /// Revoking is for good.
    #[error("the licence is revoked, which is for good: issue another one")]
    Revoked,
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
    /// Opens the data directory's store, making both where they are not there.
    pub fn create(directory: &Path) -> Result<Self, RegistryError> {
        Ok(Self(Store::create(directory, COMMAND_BUSY_TIMEOUT)?))
    }

    /// Opens the data directory's store.
    pub fn open(directory: &Path) -> Result<Self, RegistryError> {
        Ok(Self(Store::open(directory, COMMAND_BUSY_TIMEOUT)?))
    }

    /// Adds a licence under the hash of its key. It is on the disk when this returns.
    pub fn issue(&self, key: &KeyHash, license: &License) -> Result<(), RegistryError> {
        let store_key = key.store_key();
        self.0.write(|write| match write.put(&store_key, &license.to_json(), &Expectation::Absent, None)? {
            Outcome::Stored(_) => Ok(write.name_license(license.id.as_str(), &store_key)?),
            Outcome::Conflict(_) => Err(RegistryError::KeyTaken),
        })
    }

    /// The licence with this key, if there is one, and what has become of it.
    pub fn get(&self, key: &KeyHash) -> Result<Option<(License, State)>, RegistryError> {
        self.read(&key.store_key())
    }

    /// The licence that an id or a key names, and what has become of it.
    pub fn find(&self, id_or_key: &str) -> Result<(License, State), RegistryError> {
        self.read(&self.store_key(id_or_key)?)?.ok_or(RegistryError::NoSuchLicense)
    }

    fn read(&self, store_key: &str) -> Result<Option<(License, State)>, RegistryError> {
        let Some(entry) = self.0.get(store_key)? else { return Ok(None) };
        let license = read(store_key, &entry.value)?;
        let state_key = license.id.state_key();
        let state = self.0.get(&state_key)?.map(|entry| State::from_bytes(&entry.value)).transpose();
        let state = state.map_err(|error| RegistryError::State(error, state_key))?;
        Ok(Some((license, state.unwrap_or_default())))
    }

    /// Gives the licence another status; nothing is written where it has that status already. A revoked one stays revoked.
    pub fn set_status(&self, id_or_key: &str, status: Status) -> Result<License, RegistryError> {
        let store_key = self.store_key(id_or_key)?;
        loop {
            let entry = self.0.get(&store_key)?.ok_or(RegistryError::NoSuchLicense)?;
            let mut license = read(&store_key, &entry.value)?;
            if license.status == status {
                return Ok(license);
            }
            if license.status == Status::Revoked {
                return Err(RegistryError::Revoked);
            }
            license.status = status;
            license.generation += 1;
            let unchanged = Expectation::Matches(entry.version);
            if let Outcome::Stored(_) = self.0.put(&store_key, &license.to_json(), &unchanged, None)? {
                return Ok(license);
            }
        }
    }

    /// Calls `visit` with each licence and its key in the store, by ascending key.
    pub fn for_each<E: From<RegistryError>>(
        &self,
        mut visit: impl FnMut(&str, License) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cursor = None;
        loop {
            let page = self.0.list_keys(PREFIX, cursor.as_deref(), LIST_PAGE).map_err(RegistryError::from)?;
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

    fn store_key(&self, id_or_key: &str) -> Result<String, RegistryError> {
        match LicenseId::parse(id_or_key) {
            Ok(id) => self.0.find_license(id.as_str())?.ok_or(RegistryError::NoSuchLicense),
            Err(_) => Ok(key::read(id_or_key)?.store_key()),
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
