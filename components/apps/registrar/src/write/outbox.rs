//! Carries what was committed through to the store: rows in order, each until it has landed.

use std::collections::BTreeSet;

use crate::limits::{DELIVER_OLDER, MAX_DELIVERING, OUTBOX_PAGE};
use countersign::license::License;
use serde_json::json;

use crate::bindings::countersign::license::store::{self, Error, Expectation, Outcome};
use crate::host::clock::Stopwatch;
use crate::sql::db::{self, Row, blob, integer, text};
use crate::wire::problem::Problem;

/// Writes of one row that meet another's before this gives up: the next delivery goes on.
const MAX_CONFLICTS: u32 = 16;

/// Delivers what is pending, for as long as one request may; gives how many rows have landed.
pub(crate) fn deliver_pending() -> Result<u64, Problem> {
    let rows = "SELECT number, license, key, generation, record FROM outbox WHERE number > ?1 ORDER BY number LIMIT ?2";
    Ok(deliver(|after| db::query(rows, vec![integer(after), integer(OUTBOX_PAGE)]))?.count)
}

/// After a write: delivers its rows, those of the same licences that are older, and some others that are. Whether the store has the
/// write's own now.
///
/// The write is made and will be carried through, so no failure of this is one of the request.
pub(crate) fn deliver_after(change: &[u8]) -> bool {
    let rows = "
        SELECT number, license, key, generation, record FROM outbox
        WHERE number > ?1 AND number IN (
            SELECT number FROM outbox WHERE license IN (SELECT license FROM outbox WHERE change = ?2)
            UNION SELECT number FROM (SELECT number FROM outbox ORDER BY number LIMIT ?3))
        ORDER BY number LIMIT ?4";
    let delivered = deliver(|after| {
        db::query(rows, vec![integer(after), blob(change), integer(DELIVER_OLDER), integer(OUTBOX_PAGE)])
    });
    match delivered {
        Ok(delivered) if delivered.is_all => true,
        _ => is_delivered(change).unwrap_or(false),
    }
}

/// Whether nothing of a write is left to deliver.
fn is_delivered(change: &[u8]) -> Result<bool, Problem> {
    Ok(db::query("SELECT number FROM outbox WHERE change = ?1 LIMIT 1", vec![blob(change)])?.is_empty())
}

/// What came of a delivery.
struct Delivered {
    /// Rows that have landed.
    count: u64,
    /// Whether no row was left behind.
    is_all: bool,
}

/// Delivers rows page by page. Where one does not land, those of its licence that follow wait too; where the store does not answer, all do.
fn deliver(mut rows_after: impl FnMut(i64) -> Result<Vec<Row>, Problem>) -> Result<Delivered, Problem> {
    let delivering = Stopwatch::start();
    let mut delivered = Delivered { count: 0, is_all: true };
    let mut held_back = BTreeSet::new();
    let mut after = 0;
    loop {
        let rows = rows_after(after)?;
        let mut landed = Vec::with_capacity(rows.len());
        let mut goes_on = !rows.is_empty();
        for row in &rows {
            after = row.integer(0)?;
            let license = row.text(1)?;
            if !goes_on || held_back.contains(license) {
                delivered.is_all = false;
                continue;
            }
            match put(row.text(2)?, row.count(3)?, row.text(4)?.as_bytes()) {
                Ok(()) => landed.push(after),
                Err(failure) => {
                    delivered.is_all = false;
                    held_back.insert(license.to_owned());
                    goes_on = failure == Failure::OfThisRow;
                }
            }
            if delivering.elapsed() > MAX_DELIVERING {
                goes_on = false;
            }
        }
        delivered.count += landed.len() as u64;
        if !landed.is_empty() {
            // If this fails they are delivered again, and found to be there.
            let _ = db::execute(
                "DELETE FROM outbox WHERE number IN (SELECT value FROM json_each(?1))",
                vec![text(json!(landed).to_string())],
            );
        }
        if !goes_on || rows.len() < OUTBOX_PAGE as usize {
            delivered.is_all &= rows.len() < OUTBOX_PAGE as usize;
            return Ok(delivered);
        }
    }
}

#[derive(PartialEq, Eq)]
enum Failure {
    /// Other rows may do better.
    OfThisRow,
    OfTheStore,
}

/// Writes a record, unless what is there is as new: whoever delivers, and in whatever order, a licence never goes back.
fn put(key: &str, generation: u64, record: &[u8]) -> Result<(), Failure> {
    let mut present = store::get(key).map_err(failure)?;
    for _ in 0..MAX_CONFLICTS {
        let expect = match &present {
            None => Expectation::Absent,
            // What is no record is written over.
            Some(entry) => match License::from_json(&entry.value) {
                Ok(license) if license.generation >= generation => return Ok(()),
                _ => Expectation::Matches(entry.version),
            },
        };
        match store::put(key, record, expect, None).map_err(failure)? {
            Outcome::Stored(_) => return Ok(()),
            Outcome::Conflict(instead) => present = instead,
        }
    }
    Err(Failure::OfThisRow)
}

fn failure(error: Error) -> Failure {
    match error {
        Error::TooLarge | Error::InvalidKey => Failure::OfThisRow,
        Error::Unavailable(_)
        | Error::NoSuchStore
        | Error::AccessDenied
        | Error::Throttled
        | Error::Unsupported
        | Error::Other(_) => Failure::OfTheStore,
    }
}
