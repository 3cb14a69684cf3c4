//! What the store has: the records that the registrar has it keep, and what the validator wrote of a licence's use.

use countersign::id::LicenseId;
use countersign::state::State;
use countersign::store_keys;

use crate::bindings::countersign::license::store::{self, Entry, Error, Page};
use crate::wire::problem::Problem;

/// What has become of a licence; nothing where it was never used. One read.
pub(crate) fn state(id: &LicenseId) -> Result<State, Problem> {
    let state = get(&id.state_key())?.map(|entry| State::from_bytes(&entry.value)).transpose();
    Ok(state.map_err(|_| Problem::Unavailable { reason: "corrupt-state" })?.unwrap_or_default())
}

/// One read.
pub(crate) fn get(key: &str) -> Result<Option<Entry>, Problem> {
    store::get(key).map_err(problem)
}

/// Whether the store can list its keys.
pub(crate) fn can_list() -> bool {
    store::describe().lists
}

/// A page of the licences' keys in the store.
pub(crate) fn list(cursor: Option<&str>, limit: u32) -> Result<Page, Problem> {
    store::list_keys(store_keys::LICENSE, cursor, limit).map_err(problem)
}

/// The hash in a licence's key.
pub(crate) fn hash_of(key: &str) -> &str {
    key.strip_prefix(store_keys::LICENSE).unwrap_or(key)
}

/// What a caller is told of a store that gave no answer. The text of the error is for the host's own log.
fn problem(error: Error) -> Problem {
    let reason = match error {
        Error::Unavailable(_) => "store-unavailable",
        Error::NoSuchStore => "store-no-such-store",
        Error::AccessDenied => "store-access-denied",
        Error::Throttled => "store-throttled",
        Error::TooLarge => "store-too-large",
        Error::InvalidKey => "store-invalid-key",
        Error::Unsupported => "store-unsupported",
        Error::Other(_) => "store-other",
    };
    Problem::Unavailable { reason }
}
