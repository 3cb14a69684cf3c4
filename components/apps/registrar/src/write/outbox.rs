//! Delivers committed records to the store, and wishes to the state of licences: rows in order,
//! each of which stays until it is delivered.
//!
//! A record that the database does not know, and that is not older, is not overwritten: the
//! database was restored from an old copy, and has forgotten a change. Rows of that licence wait
//! until a reconciliation has decided about it. Only the end of a licence does not wait: whatever
//! was forgotten, a revoked or deleted licence must not be valid.

use std::collections::BTreeSet;

use countersign::id::LicenseId;
use countersign::license::{License, Status};
use countersign::limits::MAX_COUNTED;
use countersign::state::State;
use countersign::store_keys::STATE;
use countersign::wish::Wish;
use countersign_app_common::clock::{self, Stopwatch};
use countersign_app_common::store::{self, Error, Expectation, Outcome};
use serde_json::json;

use crate::host::store::{hash_of, read};
use crate::limits::{DELIVER_OLDER, MAX_DELIVERING, OUTBOX_PAGE};
use crate::sql::db::{self, Row, blob, integer, text};
use crate::wire::problem::{Problem, corrupt};

const ALL: &str = "
    SELECT number, license, key, generation, record FROM outbox WHERE number > ?1 ORDER BY number LIMIT ?2";

/// The rows of a change, the older rows of the same licences, and some other older rows.
const AFTER_CHANGE: &str = "
    SELECT number, license, key, generation, record FROM outbox
    WHERE number > ?1 AND number IN (
        SELECT number FROM outbox WHERE license IN (SELECT license FROM outbox WHERE change = ?2)
        UNION SELECT number FROM (SELECT number FROM outbox ORDER BY number LIMIT ?3))
    ORDER BY number LIMIT ?4";

/// The last record that the database has for a key.
const LAST: &str = "
    SELECT COALESCE(keys.retired, licenses.record)
    FROM keys LEFT JOIN licenses ON licenses.key_hash = keys.hash WHERE keys.hash = ?1";

/// Whether a licence may still be used.
const IS_IN_USE: &str = "SELECT 1 FROM licenses WHERE id = ?1 AND status <> 'revoked'";

const FORGET_EARLIER: &str = "DELETE FROM outbox WHERE license = ?1 AND key = ?2 AND number < ?3";

const OF_CHANGE: &str = "SELECT number FROM outbox WHERE change = ?1 LIMIT 1";
const OF_LICENSE: &str = "SELECT number FROM outbox WHERE license = ?1 LIMIT 1";

const OF_PRODUCTS: &str = "
    SELECT COUNT(*) FROM outbox JOIN licenses ON licenses.id = outbox.license
    WHERE licenses.product IN (SELECT value FROM json_each(?1))";

/// Conflicts on one row before it is left to the next delivery.
const MAX_CONFLICTS: u32 = 16;

/// Delivers as many pending rows as one request may. Returns their number.
pub(crate) fn deliver_pending() -> Result<u64, Problem> {
    Ok(deliver(|after| db::query(ALL, vec![integer(after), integer(OUTBOX_PAGE)]))?.count)
}

/// Delivers the rows of a committed change and some older ones. Returns whether the store has those
/// of the change.
///
/// The change is committed and its rows will be delivered, so a failure here is not one of the
/// request.
pub(crate) fn deliver_after(change: &[u8]) -> bool {
    let delivery = deliver(|after| {
        let parameters = vec![integer(after), blob(change), integer(DELIVER_OLDER), integer(OUTBOX_PAGE)];
        db::query(AFTER_CHANGE, parameters)
    });
    match delivery {
        Ok(delivery) if delivery.is_complete => true,
        _ => db::query(OF_CHANGE, vec![blob(change)]).is_ok_and(|rows| rows.is_empty()),
    }
}

/// Whether the store lacks a record of this licence.
pub(crate) fn has_pending(license: &LicenseId) -> Result<bool, Problem> {
    Ok(!db::query(OF_LICENSE, vec![text(license.as_str())])?.is_empty())
}

/// The number of pending rows, of all licences or of those that these products have now.
pub(crate) fn depth(products: Option<db::Value>) -> Result<u64, Problem> {
    let row = match products {
        None => db::query_one("SELECT COUNT(*) FROM outbox", Vec::new())?,
        Some(products) => db::query_one(OF_PRODUCTS, vec![products])?,
    };
    row.ok_or_else(corrupt)?.count(0)
}

/// The outcome of a delivery.
struct Delivery {
    /// Rows that the store now has.
    count: u64,
    /// Whether no row was left.
    is_complete: bool,
}

/// Delivers rows page by page. A row that fails holds back the later ones of its licence, so that
/// they arrive in order; a store that fails holds back all. A wish holds back no record: the state
/// may be unreadable for good, and a revocation must arrive all the same.
fn deliver(mut rows_after: impl FnMut(i64) -> Result<Vec<Row>, Problem>) -> Result<Delivery, Problem> {
    let delivering = Stopwatch::start();
    let mut delivery = Delivery { count: 0, is_complete: true };
    let mut held_back = BTreeSet::new();
    let mut after = 0;
    loop {
        let rows = rows_after(after)?;
        let mut delivered = Vec::with_capacity(rows.len());
        let mut continues = !rows.is_empty();
        for row in &rows {
            after = row.integer(0)?;
            let (license, key, record) = (row.text(1)?, row.text(2)?, row.text(4)?.as_bytes());
            let is_wish = key.starts_with(STATE);
            if !continues || (is_wish && (held_back.contains(license) || held_back.contains(key))) {
                delivery.is_complete = false;
                continue;
            }
            let put = if is_wish {
                fulfil(key, record)
            } else if held_back.contains(license) {
                end(after, key, record)
            } else {
                match put(key, row.count(3)?, record) {
                    Err(Failure::OfThisRow) => end(after, key, record),
                    done => done,
                }
            };
            match put {
                Ok(()) => delivered.push(after),
                Err(failure) => {
                    delivery.is_complete = false;
                    held_back.insert(if is_wish { key } else { license }.to_owned());
                    continues = failure == Failure::OfThisRow;
                }
            }
            if delivering.elapsed() > MAX_DELIVERING {
                continues = false;
            }
        }
        delivery.count += delivered.len() as u64;
        if !delivered.is_empty() {
            // If this fails, the rows are delivered again, which the generation makes harmless.
            let _ = db::execute(
                "DELETE FROM outbox WHERE number IN (SELECT value FROM json_each(?1))",
                vec![text(json!(delivered).to_string())],
            );
        }
        let is_last = rows.len() < OUTBOX_PAGE as usize;
        if !continues || is_last {
            delivery.is_complete &= is_last;
            return Ok(delivery);
        }
    }
}

#[derive(PartialEq, Eq)]
enum Failure {
    /// Another row may succeed.
    OfThisRow,
    OfTheStore,
}

/// Writes a record unless the store has one of the same or a higher generation. So a licence never
/// goes back, whichever instance delivers, and in whatever order. Such a record must be known to
/// the database ([`follows`]), or else the row fails.
fn put(key: &str, generation: u64, record: &[u8]) -> Result<(), Failure> {
    let mut present = read(key).map_err(failure)?;
    for _ in 0..MAX_CONFLICTS {
        let expect = match &present {
            None => Expectation::Absent,
            // An unreadable record is overwritten.
            Some(entry) => match License::from_json(&entry.value) {
                Ok(present) if present.generation >= generation => return follows(&present, key, generation, record),
                _ => Expectation::Matches(entry.version),
            },
        };
        match store::put(key, record, expect, None).map_err(failure)? {
            Outcome::Stored(_) => return Ok(()),
            Outcome::Conflict(current) => present = current,
        }
    }
    Err(Failure::OfThisRow)
}

/// Checks that the database knows the record that the store has in place of this one: it is the
/// same, or a later one of the same licence.
///
/// A generation is that of one record. So a record of this generation with other content is
/// unknown, and so is one that is later than the database's last.
fn follows(present: &License, key: &str, generation: u64, record: &[u8]) -> Result<(), Failure> {
    if present.generation == generation {
        let is_same = License::from_json(record).is_ok_and(|record| record == *present);
        return if is_same { Ok(()) } else { Err(Failure::OfThisRow) };
    }
    let last = db::query_one(LAST, vec![text(hash_of(key))]).map_err(|_| Failure::OfTheStore)?;
    let last = last.and_then(|row| License::from_json(row.text(0).ok()?.as_bytes()).ok());
    let is_known = |last: License| last.generation > present.generation || last == *present;
    if last.is_some_and(is_known) { Ok(()) } else { Err(Failure::OfThisRow) }
}

/// Ends a licence that was revoked or deleted: its record, here that of row `number`, replaces one
/// that the database does not know, with a generation after it. Earlier rows of the key are then
/// obsolete. Any other record fails.
///
/// A tombstone that the database does not know stays: its key is refused already. Another key may
/// have taken its place, which is not known either, so the row stays too, to tell of it.
fn end(number: i64, key: &str, record: &[u8]) -> Result<(), Failure> {
    let is_end = |record: &License| record.status == Status::Revoked;
    let record = License::from_json(record).ok().filter(is_end).ok_or(Failure::OfThisRow)?;
    let id = text(record.id.as_str());
    if db::query_one(IS_IN_USE, vec![id.clone()]).map_err(|_| Failure::OfTheStore)?.is_some() {
        return Err(Failure::OfThisRow);
    }
    let mut present = read(key).map_err(failure)?;
    for _ in 0..MAX_CONFLICTS {
        let known = present.as_ref().and_then(|entry| License::from_json(&entry.value).ok());
        if known.as_ref().is_some_and(|known| *known == known.retired() && *known != record) {
            return Err(Failure::OfThisRow);
        }
        let after = known.map_or(0, |known| known.generation.saturating_add(1).min(MAX_COUNTED));
        let record = License { generation: record.generation.max(after), ..record.clone() };
        let expect = present.map_or(Expectation::Absent, |entry| Expectation::Matches(entry.version));
        match store::put(key, record.to_json().as_bytes(), expect, None).map_err(failure)? {
            Outcome::Stored(_) => {
                // If this fails, they wait for a reconciliation.
                let _ = db::execute(FORGET_EARLIER, vec![id, text(key), integer(number)]);
                return Ok(());
            }
            Outcome::Conflict(current) => present = current,
        }
    }
    Err(Failure::OfThisRow)
}

/// Fulfils a wish about a licence's state, as the validator changes it: by the core's rules, and on
/// condition that nobody has written it since it was read.
fn fulfil(key: &str, wish: &[u8]) -> Result<(), Failure> {
    let wish = Wish::from_json(wish).map_err(|_| Failure::OfThisRow)?;
    let mut present = read(key).map_err(failure)?;
    for _ in 0..MAX_CONFLICTS {
        let state = present.as_ref().map(|entry| State::from_bytes(&entry.value)).transpose();
        let before = state.map_err(|_| Failure::OfThisRow)?.unwrap_or_default();
        let (mut after, now) = (before.clone(), clock::now());
        wish.apply(&mut after, now).map_err(|_| Failure::OfThisRow)?;
        if after == before {
            return Ok(());
        }
        after.generation = before.generation.checked_add(1).ok_or(Failure::OfThisRow)?;
        after.written_at = Some(now);
        let expect = present.as_ref().map_or(Expectation::Absent, |entry| Expectation::Matches(entry.version));
        match store::put(key, &after.to_bytes(), expect, None).map_err(failure)? {
            Outcome::Stored(_) => return Ok(()),
            Outcome::Conflict(current) => present = current,
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
