//! Compares the database with the store, and repairs the store.
//!
//! It goes page by page, first through every key that was ever issued, then through the store's
//! own list. Keys in the list that the database does not know are counted, or adopted if asked for
//! (`adopt`).
//!
//! A licence that is not as its events say is not taken for the truth: it is named, and the store
//! keeps what it has.

mod adopt;

use std::collections::BTreeSet;

use countersign::crockford;
use countersign::field::FieldError;
use countersign::key::KeyHash;
use countersign::license::{License, Status};
use serde_json::{Value, json};

use self::adopt::Step;
use crate::ask::Ask;
use crate::host::store;
use crate::limits::{MAX_BULK_ITEMS, MAX_REPAIR_BYTES};
use crate::resources::audit;
use crate::resources::licenses::issued::{IssuedLicense, next_generation};
use crate::resources::licenses::search::queries;
use crate::sql::db::{self, Row, integer, text};
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{Problem, corrupt};
use crate::write::change::{Change, change};
use crate::write::outbox;

const ACTION: &str = "license.reconciled";

/// Each key, with the record that the store should have under it.
const KEYS: &str = "SELECT keys.hash, COALESCE(keys.retired, licenses.record), keys.retired IS NULL, keys.license \
    FROM keys LEFT JOIN licenses ON licenses.key_hash = keys.hash AND licenses.id = keys.license WHERE keys.hash > ?1 ORDER BY keys.hash LIMIT ?2";
const KNOWN: &str = "SELECT COUNT(*) FROM keys WHERE hash IN (SELECT value FROM json_each(?1))";
const SET_RETIRED: &str = "UPDATE keys SET retired = ?2 WHERE hash = ?1";

/// Keys that are read at a time: with their records they take some megabytes at most.
const READ_AT_ONCE: u32 = 50;

/// How far a reconciliation has come: its cursor.
#[derive(Clone)]
enum Progress {
    /// Keys up to this hash were compared.
    Keys(String),
    /// The store's list, by the store's cursor.
    Store(Option<String>),
}

/// `POST /api/v1/reconcile`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.optional_fields()?;
    let cursor = fields.text("cursor")?;
    let limit = fields.integer("limit")?.unwrap_or(MAX_BULK_ITEMS.into());
    let dry_run = fields.boolean("dryRun")?.unwrap_or_default();
    let adopts = fields.boolean("adopt")?.unwrap_or_default();
    fields.finish()?;
    if !(1..=u64::from(MAX_BULK_ITEMS)).contains(&limit) {
        let detail = format_args!("must be a whole number from 1 to {MAX_BULK_ITEMS}.");
        return Err(FieldError::new("limit", detail).into());
    }
    let progress = cursor.map_or(Some(Progress::Keys(String::new())), |cursor| Progress::read(&cursor));
    let unknown = || FieldError::new("cursor", "must be the `next` of an earlier step.");
    let progress = progress.ok_or_else(unknown)?;
    // A record that is only late needs no repair.
    if !dry_run {
        outbox::deliver_pending()?;
    }
    let mut build = || {
        let (change, report) = match &progress {
            Progress::Keys(after) => compare(after, limit as u32, ask)?,
            Progress::Store(cursor) if adopts => adopt(cursor.as_deref(), limit as u32, ask)?,
            Progress::Store(cursor) => (Change::new(), count_unknown(cursor.as_deref(), limit as u32)?),
        };
        Ok((change, Answer::ok(report, None)))
    };
    if dry_run {
        ask.query.finish()?;
        return Ok(build()?.1.into());
    }
    change(ask, &mut build)
}

/// Compares some keys, and delivers again the records that differ in the store. It ends at the
/// limit, or earlier if there is much to deliver.
fn compare(after: &str, limit: u32, ask: &Ask<'_>) -> Result<(Change, Value), Problem> {
    let mut change = Change::in_steps();
    let (mut after, mut checked, mut repaired, mut at_end, mut bytes) = (after.to_owned(), 0, 0, 0, 0);
    let mut unaccounted = BTreeSet::new();
    let next = loop {
        let count = READ_AT_ONCE.min(limit - checked);
        let rows = db::query(KEYS, vec![text(&*after), integer(count)])?;
        for row in &rows {
            match repair(row, &mut change, ask)? {
                Comparison::Same => {}
                Comparison::AtEnd => at_end += 1,
                Comparison::Unaccounted => {
                    unaccounted.insert(row.text(3)?.to_owned());
                }
                Comparison::Repaired => {
                    repaired += 1;
                    bytes += row.optional_text(1)?.map_or(0, str::len);
                }
            }
        }
        checked += rows.len() as u32;
        match rows.last() {
            Some(last) if rows.len() == count as usize => after = last.text(0)?.to_owned(),
            // The second part needs a store that can list its keys.
            _ => break store::can_list().then_some(Progress::Store(None)),
        }
        if checked == limit || bytes > MAX_REPAIR_BYTES {
            break Some(Progress::Keys(after));
        }
    };
    let mut report = json!({ "checked": checked, "repaired": repaired });
    if !unaccounted.is_empty() {
        report["unaccounted"] = json!(unaccounted);
    }
    if at_end > 0 {
        report["unrepairable"] = at_end.into();
    }
    if let Some(next) = next {
        report["next"] = next.cursor().into();
    }
    Ok((change, report))
}

/// The outcome for one key.
enum Comparison {
    Same,
    Repaired,
    /// The licence is not as its events say, or the key is of no licence.
    Unaccounted,
    /// The store's record has the highest generation of all, so none can follow it.
    AtEnd,
}

/// Delivers a record again if the store has another one under its key, with a generation above the
/// store's.
///
/// A revocation is final. If only the store has it, as after the database was restored from an old
/// backup, the database takes it over.
fn repair(row: &Row, change: &mut Change, ask: &Ask<'_>) -> Result<Comparison, Problem> {
    let key = KeyHash::parse(row.text(0)?).map_err(|_| corrupt())?;
    let (record, is_current) = (row.optional_text(1)?, row.integer(2)? != 0);
    let issued = if is_current { find(row.text(3)?)? } else { None };
    let is_accounted_for = match (&issued, record) {
        (Some(issued), Some(_)) => audit::accounts_for(issued)?,
        (None, Some(record)) => !is_current && audit::is_tombstone(record, row.text(3)?),
        (_, None) => false,
    };
    let (Some(record), true) = (record, is_accounted_for) else { return Ok(Comparison::Unaccounted) };
    let mut due = License::from_json(record.as_bytes()).map_err(|_| corrupt())?;
    let present = store::get(&key.store_key())?.map(|entry| License::from_json(&entry.value));
    let (generation, is_revoked) = match present {
        Some(Ok(present)) if present == due => return Ok(Comparison::Same),
        Some(Ok(present)) => {
            (present.generation, present.generation > due.generation && present.status == Status::Revoked)
        }
        Some(Err(_)) | None => (0, false),
    };
    if generation < due.generation {
        change.deliver(&due.id, &key, &due);
        return Ok(Comparison::Repaired);
    }
    let Ok(next) = next_generation(generation) else { return Ok(Comparison::AtEnd) };
    let Some(before) = issued else {
        due.generation = next;
        change.run(SET_RETIRED, vec![text(key.to_hex()), text(due.to_json())]);
        change.deliver(&due.id, &key, &due);
        return Ok(Comparison::Repaired);
    };
    let mut after = before.clone();
    after.record.generation = next;
    if is_revoked {
        after.record.status = Status::Revoked;
    }
    after.update(&before, change, ACTION, ask.now)?;
    Ok(Comparison::Repaired)
}

/// The licence of this id.
fn find(id: &str) -> Result<Option<IssuedLicense>, Problem> {
    let row = db::query_one(queries::BY_ID, vec![text(id)])?;
    row.map(|row| IssuedLicense::from_row(&row)).transpose()
}

/// Counts the keys in some of the store's own list that the database does not know.
fn count_unknown(cursor: Option<&str>, limit: u32) -> Result<Value, Problem> {
    let page = store::list(cursor, limit)?;
    let hashes: Vec<_> = page.keys.iter().map(|key| store::hash_of(key)).collect();
    let known = db::query_one(KNOWN, vec![text(json!(hashes).to_string())])?.ok_or_else(corrupt)?.count(0)?;
    let mut report =
        json!({ "checked": hashes.len(), "repaired": 0, "unknown": (hashes.len() as u64).saturating_sub(known) });
    if let Some(next) = page.next {
        report["next"] = Progress::Store(Some(next)).cursor().into();
    }
    Ok(report)
}

/// Adopts the unknown licences in some of the store's own list.
fn adopt(cursor: Option<&str>, limit: u32, ask: &Ask<'_>) -> Result<(Change, Value), Problem> {
    let Step { change, mut report, next } = adopt::step(cursor, limit, ask.now)?;
    if let Some(next) = next {
        report["next"] = Progress::Store(Some(next)).cursor().into();
    }
    Ok((change, report))
}

impl Progress {
    /// The progress as an opaque text.
    fn cursor(&self) -> String {
        let (kind, rest) = match self {
            Self::Keys(after) => ('k', after.as_str()),
            Self::Store(cursor) => ('s', cursor.as_deref().unwrap_or_default()),
        };
        crockford::encode(format!("{kind}{rest}").as_bytes())
    }

    fn read(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(crockford::decode(cursor)?).ok()?;
        if let Some(after) = text.strip_prefix('k') {
            return Some(Self::Keys(after.to_owned()));
        }
        text.strip_prefix('s').map(|cursor| Self::Store(Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty())))
    }
}
