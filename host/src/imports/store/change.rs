//! One change to the store.

use super::sqlite::WriteTransaction;
use crate::bindings::store::{Error, Expectation, Outcome};

/// What one call of `store.put` or `store.delete` changes.
#[derive(Debug)]
pub(super) enum Change {
    Put { key: String, value: Vec<u8>, expect: Expectation, ttl: Option<u32> },
    Delete { key: String },
}

impl Change {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    pub(super) fn apply(&self, transaction: &WriteTransaction<'_>) -> Result<Outcome, Error> {
        match self {
            Self::Put { key, value, expect, ttl } => transaction.put(key, value, expect, *ttl),
            Self::Delete { key } => transaction.delete(key).map(|()| Outcome::Stored(None)),
        }
    }
}
