//! One change to the store.

use super::sqlite::WriteTransaction;
use crate::bindings::store::{Error, Expectation, Outcome};
use crate::limits::EXPIRED_PER_COMMIT;

/// What one call of `store.put` or `store.delete` changes, or one step of the removal of expired
/// entries.
#[derive(Debug)]
pub(super) enum Change {
    Put { key: String, value: Vec<u8>, expect: Expectation, ttl: Option<u32> },
    Delete { key: String },
    DeleteExpired,
}

impl Change {
    /// The key whose entry it changes. That an entry is expired every reader sees by itself.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => Some(key),
            Self::DeleteExpired => None,
        }
    }

    pub(super) fn apply(&self, transaction: &WriteTransaction<'_>) -> Result<Outcome, Error> {
        match self {
            Self::Put { key, value, expect, ttl } => transaction.put(key, value, expect, *ttl),
            Self::Delete { key } => transaction.delete(key).map(|()| Outcome::Stored(None)),
            Self::DeleteExpired => transaction.delete_expired(EXPIRED_PER_COMMIT).map(|()| Outcome::Stored(None)),
        }
    }
}
