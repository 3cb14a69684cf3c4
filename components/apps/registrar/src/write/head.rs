//! The end of the chain, remembered in the store, away from the database that it is about. So a
//! chain that was cut off at its end, or replaced by an older copy, is found (`resources::audit`),
//! also once it has grown again.

use countersign::hex;
use countersign::store_keys::AUDIT_HEAD;
use countersign_app_common::store::{self, Entry, Error, Expectation, Outcome};
use countersign_app_common::store_error;

use crate::host;
use crate::sql::db::{self, blob, integer};
use crate::wire::problem::Problem;
use crate::write::chain::End;

const HAS_EVENT: &str = "SELECT 1 FROM events WHERE number = ?1 AND hash = ?2";

/// Attempts to write while other instances write too. The next change remembers what is given up.
const MAX_CONFLICTS: u32 = 4;

/// The end that the store remembers.
pub(crate) fn recall() -> Result<Option<End>, Problem> {
    let entry = host::store::read(AUDIT_HEAD).map_err(|error| problem(&error))?;
    entry.map(|entry| read(&entry).ok_or_else(|| Problem::unavailable("corrupt-head"))).transpose()
}

/// Remembers the end to which a committed change brought the chain from `before`, unless the chain
/// lost the event that is remembered: that memory is the evidence.
///
/// A failure does not fail the change. What is remembered then is an earlier end.
pub(super) fn remember(before: End, after: End) {
    let Ok(mut present) = host::store::read(AUDIT_HEAD) else { return };
    for _ in 0..MAX_CONFLICTS {
        let expect = match &present {
            None => Expectation::Absent,
            Some(entry) => match read(entry) {
                Some(known) if known.number <= before.number && has(known, before) => {
                    Expectation::Matches(entry.version)
                }
                _ => return,
            },
        };
        match store::put(AUDIT_HEAD, &written(after), expect, None) {
            Ok(Outcome::Conflict(current)) => present = current,
            Ok(Outcome::Stored(_)) | Err(_) => return,
        }
    }
}

/// Remembers this end whatever was remembered before.
pub(crate) fn replace(end: End) -> Result<(), Problem> {
    store::put(AUDIT_HEAD, &written(end), Expectation::Any, None).map(drop).map_err(|error| problem(&error))
}

/// Whether the chain up to `end` has the event that is known.
pub(crate) fn has(known: End, end: End) -> bool {
    known == end
        || known == End::BEGINNING
        || db::query_one(HAS_EVENT, vec![integer(known.number), blob(known.hash)]).is_ok_and(|row| row.is_some())
}

fn written(end: End) -> Vec<u8> {
    format!("{}:{}", end.number, hex::encode(&end.hash)).into_bytes()
}

fn read(entry: &Entry) -> Option<End> {
    let (number, hash) = str::from_utf8(&entry.value).ok()?.split_once(':')?;
    Some(End { number: number.parse().ok()?, hash: hex::decode(hash)? })
}

fn problem(error: &Error) -> Problem {
    Problem::unavailable(store_error::word(error))
}
