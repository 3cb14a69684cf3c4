//! Reads of the store: the licences that the registrar delivered, and the state that the validator
//! keeps of each. `write::outbox` has the writes.

use countersign::id::LicenseId;
use countersign::state::State;
use countersign::store_keys;
use countersign_app_common::store::{self, Entry, Error, Freshness, Page};
use countersign_app_common::store_error;

use crate::wire::problem::{CORRUPT_STATE, Problem};

/// A licence's usage state; the default if the licence was never used. One read.
pub(crate) fn state(id: &LicenseId) -> Result<State, Problem> {
    let state = get(&id.state_key())?.map(|entry| State::from_bytes(&entry.value)).transpose();
    Ok(state.map_err(|_| Problem::unavailable(CORRUPT_STATE))?.unwrap_or_default())
}

/// One read.
pub(crate) fn get(key: &str) -> Result<Option<Entry>, Problem> {
    read(key).map_err(problem)
}

/// As [`get`], with the store's own error.
pub(crate) fn read(key: &str) -> Result<Option<Entry>, Error> {
    Ok(store::get(key, Freshness::Confirmed)?.entry)
}

/// Whether the store can list its keys.
pub(crate) fn can_list() -> bool {
    store::describe().lists
}

/// A page of the licences' keys in the store.
pub(crate) fn list(cursor: Option<&str>, limit: u32) -> Result<Page, Problem> {
    store::list_keys(store_keys::LICENSE, cursor, limit).map_err(problem)
}

/// The hash in a licence's key in the store.
pub(crate) fn hash_of(key: &str) -> &str {
    key.strip_prefix(store_keys::LICENSE).unwrap_or(key)
}

pub(crate) fn problem(error: Error) -> Problem {
    Problem::unavailable(store_error::word(&error))
}
