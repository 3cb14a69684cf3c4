//! The keys that the database has, each with the record that the store should have under it.

use std::collections::BTreeSet;

use countersign::id::LicenseId;
use countersign::key::KeyHash;
use countersign::license::{License, Status};
use serde_json::{Value, json};

use super::{ACTION, Choice, Done, Progress, Step, is_tombstone, item};
use crate::host::store;
use crate::limits::MAX_REPAIR_BYTES;
use crate::resources::audit;
use crate::resources::licenses::issued::{IssuedLicense, next_generation};
use crate::resources::licenses::search::queries;
use crate::sql::db::{self, Row, integer, optional, text};
use crate::wire::problem::{Problem, corrupt};
use crate::write::change::Change;

const KEYS: &str = "SELECT keys.hash, COALESCE(keys.retired, licenses.record), keys.retired IS NULL, keys.license \
    FROM keys LEFT JOIN licenses ON licenses.key_hash = keys.hash AND licenses.id = keys.license \
    WHERE keys.hash > ?1 AND (?3 IS NULL OR keys.license = ?3) ORDER BY keys.hash LIMIT ?2";
const SET_RETIRED: &str = "UPDATE keys SET retired = ?2 WHERE hash = ?1";
/// A record that is not delivered because the store has another one, which the database does not
/// know (`write::outbox`).
const HELD_BACK: &str = "SELECT record FROM outbox WHERE license = ?1 AND key = ?2 AND generation <= ?3 \
    ORDER BY number LIMIT 1";
/// Such records, once a decision replaces them.
const FORGET_PENDING: &str = "DELETE FROM outbox WHERE license = ?1 AND key = ?2";

/// Keys that are read at a time: with their records they take some megabytes at most.
const READ_AT_ONCE: u32 = 50;

/// The outcome so far.
struct Comparison<'a> {
    step: &'a Step<'a>,
    change: Change,
    repaired: u32,
    /// Records that are later in the store, and were left.
    later: u32,
    adopted: u32,
    dropped: u32,
    /// Licences that are not as their events say, and those of keys of no licence.
    unaccounted: BTreeSet<String>,
    /// Records that none can follow, as they have the highest generation of all.
    at_end: u32,
    items: Vec<Value>,
    /// Bytes of the records that were delivered or listed.
    bytes: usize,
}

/// Compares some keys. It ends at the limit, or earlier if there is much to deliver or to list.
pub(super) fn step(step: &Step<'_>, after: &str) -> Result<Done, Problem> {
    let mut comparison = Comparison {
        step,
        change: Change::in_steps(),
        repaired: 0,
        later: 0,
        adopted: 0,
        dropped: 0,
        unaccounted: BTreeSet::new(),
        at_end: 0,
        items: Vec::new(),
        bytes: 0,
    };
    let license = step.license.as_ref();
    let (mut after, mut checked) = (after.to_owned(), 0);
    let next = loop {
        let count = READ_AT_ONCE.min(step.limit - checked);
        let only = optional(license.map(|license| license.as_str()), text);
        let rows = db::query(KEYS, vec![text(&*after), integer(count), only])?;
        for row in &rows {
            comparison.add(row)?;
        }
        checked += rows.len() as u32;
        match rows.last() {
            Some(last) if rows.len() == count as usize => after = last.text(0)?.to_owned(),
            // The second part needs a store that can list its keys.
            _ => break store::can_list().then_some(Progress::Store(None)),
        }
        if checked == step.limit || comparison.bytes > MAX_REPAIR_BYTES {
            break Some(Progress::Keys(after));
        }
    };
    let Comparison { change, repaired, later, adopted, dropped, unaccounted, at_end, items, .. } = comparison;
    let mut report = json!({
        "checked": checked,
        "repaired": repaired,
        "later": later,
        "adopted": adopted,
        "dropped": dropped,
        "items": items,
    });
    if !unaccounted.is_empty() {
        report["unaccounted"] = json!(unaccounted);
    }
    if at_end > 0 {
        report["unrepairable"] = at_end.into();
    }
    Ok(Done { change, report, next })
}

impl Comparison<'_> {
    fn add(&mut self, row: &Row) -> Result<(), Problem> {
        let key = KeyHash::parse(row.text(0)?).map_err(|_| corrupt())?;
        let (record, id) = (row.optional_text(1)?, row.text(3)?);
        let issued = if row.integer(2)? != 0 { load(id)? } else { None };
        let is_accounted_for = match (&issued, record) {
            (Some(issued), Some(_)) => audit::accounts_for(issued)?,
            (None, Some(record)) => audit::is_tombstone(record, id),
            (_, None) => false,
        };
        let (Some(record), true) = (record, is_accounted_for) else {
            self.unaccounted.insert(id.to_owned());
            return Ok(());
        };
        let due = License::from_json(record.as_bytes()).map_err(|_| corrupt())?;
        let present = store::get(&key.store_key())?.map(|entry| (License::from_json(&entry.value), entry.value.len()));
        match present {
            Some((Ok(present), _)) if present == due => {}
            Some((Ok(present), length)) if self.is_unknown(&key, &due, &present)? => {
                self.bytes += record.len() + length;
                let Ok(next) = next_generation(present.generation.max(due.generation)) else {
                    self.at_end += 1;
                    return Ok(());
                };
                match issued {
                    Some(issued) if present.id == due.id => self.decide(&issued, &present, next)?,
                    issued => {
                        // Keys are retired for good, and a record with another id is not of this
                        // key.
                        self.repaired += 1;
                        self.replace(&key, due, issued.as_ref(), next)?;
                    }
                }
            }
            // It is missing, unreadable or older.
            _ => {
                self.repaired += 1;
                self.bytes += record.len();
                self.change.deliver(&due.id, &key, &due);
            }
        }
        Ok(())
    }

    /// Whether the store's record, which is not the one that is due, is not an earlier one either.
    fn is_unknown(&self, key: &KeyHash, due: &License, present: &License) -> Result<bool, Problem> {
        if present.generation >= due.generation {
            return Ok(true);
        }
        let parameters = vec![text(due.id.as_str()), text(key.store_key()), integer(present.generation)];
        let held_back = db::query_one(HELD_BACK, parameters)?;
        let is_other = |row: Row| Ok(License::from_json(row.text(0)?.as_bytes()).as_ref() != Ok(present));
        held_back.map_or(Ok(false), is_other)
    }

    /// Decides about a licence of which the store knows more, or something else. `next` is above
    /// both generations, so that no record on its way can come after it.
    fn decide(&mut self, before: &IssuedLicense, present: &License, next: u64) -> Result<(), Problem> {
        self.items.push(item(&present.id, "later", Some(&before.record), present));
        match self.step.choice {
            Choice::Leave => self.later += 1,
            Choice::Drop => {
                self.dropped += 1;
                self.replace(&before.key, before.record.clone(), Some(before), next)?;
            }
            Choice::Adopt => {
                let mut after = before.clone();
                if is_tombstone(present) {
                    // The terms are lost in the store, and here they still say what was sold.
                    after.record.status = Status::Revoked;
                } else {
                    after.record = present.clone();
                    // Revoking is final.
                    if before.record.status == Status::Revoked {
                        after.record.status = Status::Revoked;
                    }
                }
                let domains = after.record.domains.len() as u32;
                after.max_domains = after.max_domains.map(|most| most.max(domains));
                if after.check().is_err() {
                    self.later += 1;
                    return Ok(());
                }
                self.adopted += 1;
                after.record.generation = next;
                self.forget_pending(&present.id, &before.key);
                after.update(before, &mut self.change, ACTION, self.step.ask.now)?;
            }
        }
        Ok(())
    }

    /// Delivers what the database has, with a generation above both: the record of a licence, or
    /// one that its key left behind.
    fn replace(
        &mut self,
        key: &KeyHash,
        mut due: License,
        issued: Option<&IssuedLicense>,
        next: u64,
    ) -> Result<(), Problem> {
        self.forget_pending(&due.id, key);
        due.generation = next;
        match issued {
            Some(before) => {
                let mut after = IssuedLicense { record: due, ..before.clone() };
                after.update(before, &mut self.change, ACTION, self.step.ask.now)
            }
            None => {
                self.change.run(SET_RETIRED, vec![text(key.to_hex()), text(due.to_json())]);
                self.change.deliver(&due.id, key, &due);
                Ok(())
            }
        }
    }

    fn forget_pending(&mut self, id: &LicenseId, key: &KeyHash) {
        self.change.run(FORGET_PENDING, vec![text(id.as_str()), text(key.store_key())]);
    }
}

/// The licence of this id.
fn load(id: &str) -> Result<Option<IssuedLicense>, Problem> {
    let row = db::query_one(queries::BY_ID, vec![text(id)])?;
    row.map(|row| IssuedLicense::from_row(&row)).transpose()
}
