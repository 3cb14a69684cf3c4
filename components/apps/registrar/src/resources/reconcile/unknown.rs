//! Licences that the store has and the database does not know: they were written before there was a
//! database, or after the copy from which it was restored.
//!
//! Adopting one leaves the store as it is. If the licence's product is missing too, it is created:
//! an unadopted licence is valid for its holder while its vendor can neither find nor revoke it,
//! and a licence needs only the code of its product. Dropping one leaves a tombstone in the store.

use std::collections::{BTreeMap, BTreeSet};

use countersign::id::LicenseId;
use countersign::key::KeyHash;
use countersign::license::{License, Status};
use countersign::limits::MAX_COUNTED;
use countersign::name::Product;
use countersign::time::Timestamp;
use serde_json::{Value, json};

use super::{ACTION, Choice, Done, Progress, Step, is_tombstone, item};
use crate::host::store;
use crate::limits::MAX_REPAIR_BYTES;
use crate::resources::licenses::issued::IssuedLicense;
use crate::resources::licenses::search::queries;
use crate::resources::products;
use crate::sql::db::{self, text};
use crate::wire::problem::Problem;
use crate::write::change::Change;

const ADOPTED: &str = "license.adopted";
const DROPPED: &str = "license.dropped";

const KNOWN_KEYS: &str = "SELECT hash FROM keys WHERE hash IN (SELECT value FROM json_each(?1))";
/// Ids that a licence has or had.
const KNOWN_IDS: &str = "SELECT license FROM keys WHERE license IN (SELECT value FROM json_each(?1))";
const WAS_REVOKED: &str = "SELECT 1 FROM events \
    WHERE subject = ?1 AND action <> ?2 AND json_extract(after, '$.status') = 'revoked' LIMIT 1";

/// Keys that are listed at a time: with their records they take some megabytes at most.
const LIST_AT_ONCE: u32 = 50;

/// The outcome so far.
struct Finds<'a> {
    step: &'a Step<'a>,
    change: Change,
    unknown: u32,
    adopted: u32,
    dropped: u32,
    /// Records of deleted licences, and of keys that a licence no longer has. Adopting one would
    /// bring a deleted licence back.
    retired: u32,
    /// Values that are not a record that this app could have written.
    unreadable: u32,
    /// Records whose id belongs to a licence with another key, and that were left.
    conflicting: u32,
    items: Vec<Value>,
    /// Ids that a licence has, had, or gets in this step.
    ids: BTreeSet<String>,
    /// Whether a product that was looked up has to be created.
    products: BTreeMap<Product, bool>,
    bytes: usize,
}

/// What an unknown record is.
enum Find {
    /// A licence of which the database knows nothing.
    Unknown,
    /// A licence that got this key after the copy was made, as it was before.
    Rotated(Box<IssuedLicense>),
    /// Another record with the id of a licence, which may be deleted.
    Conflicting(Option<Box<IssuedLicense>>),
}

/// Looks at some of the store's list. It ends at the limit, or earlier if there is much to write or
/// to list.
pub(super) fn step(step: &Step<'_>, cursor: Option<&str>) -> Result<Done, Problem> {
    let mut finds = Finds {
        step,
        change: Change::in_steps(),
        unknown: 0,
        adopted: 0,
        dropped: 0,
        retired: 0,
        unreadable: 0,
        conflicting: 0,
        items: Vec::new(),
        ids: BTreeSet::new(),
        products: BTreeMap::new(),
        bytes: 0,
    };
    let (mut next, mut checked) = (cursor.map(str::to_owned), 0);
    // A page may have fewer keys than asked for although more follow.
    for _ in 0..step.limit.div_ceil(LIST_AT_ONCE) {
        let page = store::list(next.as_deref(), LIST_AT_ONCE.min(step.limit - checked))?;
        finds.add(&page.keys)?;
        checked += page.keys.len() as u32;
        next = page.next;
        if next.is_none() || checked >= step.limit || finds.bytes > MAX_REPAIR_BYTES {
            break;
        }
    }
    let report = finds.report(checked);
    Ok(Done { change: finds.change, report, next: next.map(|cursor| Progress::Store(Some(cursor))) })
}

impl Finds<'_> {
    /// Decides about those of these keys that are unknown.
    fn add(&mut self, keys: &[String]) -> Result<(), Problem> {
        let hashes: Vec<_> = keys.iter().map(|key| store::hash_of(key)).collect();
        let known = find(KNOWN_KEYS, &json!(hashes))?;
        let mut licenses = Vec::new();
        for store_key in keys.iter().filter(|key| !known.contains(store::hash_of(key))) {
            // The key may have been deleted since it was listed.
            let Some(entry) = store::get(store_key)? else { continue };
            let issued = read(store_key, &entry.value, self.step.ask.now);
            if !issued.as_ref().map_or(self.step.license.is_none(), |issued| self.step.is_about(&issued.record.id)) {
                continue;
            }
            self.unknown += 1;
            match issued {
                None => self.unreadable += 1,
                Some(issued) if is_tombstone(&issued.record) => self.retired += 1,
                Some(issued) => licenses.push((issued, entry.value.len())),
            }
        }
        let ids: Vec<_> = licenses.iter().map(|(issued, _)| &issued.record.id).collect();
        self.ids.append(&mut find(KNOWN_IDS, &json!(ids))?);
        for (issued, bytes) in licenses {
            self.bytes += bytes;
            self.decide(issued)?;
        }
        Ok(())
    }

    fn decide(&mut self, issued: IssuedLicense) -> Result<(), Problem> {
        let find = self.find(&issued.record)?;
        let (found, database) = match &find {
            Find::Unknown => ("unknown", None),
            Find::Rotated(before) => ("rotated", Some(&before.record)),
            Find::Conflicting(_) => ("conflicting", None),
        };
        self.items.push(item(&issued.record.id, found, database, &issued.record));
        match (self.step.choice, find) {
            (Choice::Leave | Choice::Adopt, Find::Conflicting(_)) => self.conflicting += 1,
            (Choice::Leave, Find::Unknown | Find::Rotated(_)) => {}
            (Choice::Adopt, Find::Unknown) => {
                self.adopted += 1;
                self.ensure_product(&issued.record.product)?;
                issued.adopt(&mut self.change, ADOPTED);
            }
            (Choice::Adopt, Find::Rotated(before)) => {
                self.adopted += 1;
                let mut after = IssuedLicense { key: issued.key, record: issued.record, ..(*before).clone() };
                if before.record.status == Status::Revoked && was_revoked(&before.record.id)? {
                    after.record.status = Status::Revoked;
                }
                after.update(&before, &mut self.change, ACTION, self.step.ask.now)?;
            }
            (Choice::Drop, find) => {
                self.dropped += 1;
                issued.retire_unknown(&mut self.change)?;
                let (id, dropped) = (issued.record.id.as_str(), Some(Value::Object(issued.view())));
                match find {
                    Find::Rotated(present) | Find::Conflicting(Some(present)) => {
                        let present = Some(Value::Object(present.view()));
                        self.change.event(ACTION, id, present.clone(), present);
                    }
                    // It existed, unknown until now.
                    Find::Unknown | Find::Conflicting(None) => {
                        self.change.event(ADOPTED, id, None, dropped.clone());
                        self.change.event(DROPPED, id, dropped, None);
                    }
                }
            }
        }
        Ok(())
    }

    /// What a readable record is, that is not a tombstone.
    fn find(&mut self, record: &License) -> Result<Find, Problem> {
        if self.ids.insert(record.id.to_string()) {
            return Ok(Find::Unknown);
        }
        let Some(row) = db::query_one(queries::BY_ID, vec![text(record.id.as_str())])? else {
            return Ok(Find::Conflicting(None));
        };
        let before = Box::new(IssuedLicense::from_row(&row)?);
        let old = store::get(&before.key.store_key())?.and_then(|entry| License::from_json(&entry.value).ok());
        let is_revoked = old.is_some_and(|old| old.status == Status::Revoked && old.id == record.id);
        Ok(if is_revoked { Find::Rotated(before) } else { Find::Conflicting(Some(before)) })
    }

    fn ensure_product(&mut self, code: &Product) -> Result<(), Problem> {
        if !self.products.contains_key(code) {
            let is_missing = products::key_prefix(code)?.is_none();
            if is_missing {
                products::insert_bare(code, &mut self.change, self.step.ask.now)?;
            }
            self.products.insert(code.clone(), is_missing);
        }
        Ok(())
    }

    fn report(&self, checked: u32) -> Value {
        let created: Vec<_> =
            self.products.iter().filter(|(_, is_created)| **is_created).map(|(code, _)| code).collect();
        json!({
            "checked": checked,
            "repaired": 0,
            "unknown": self.unknown,
            "adopted": self.adopted,
            "dropped": self.dropped,
            "retired": self.retired,
            "unreadable": self.unreadable,
            "conflicting": self.conflicting,
            "products": created,
            "items": self.items,
        })
    }
}

/// The licence under a key of the store, if this app could have written it.
fn read(store_key: &str, record: &[u8], now: Timestamp) -> Option<IssuedLicense> {
    let key = KeyHash::parse(store::hash_of(store_key)).ok().filter(|key| key.store_key() == store_key)?;
    let record = License::from_json(record).ok().filter(|record| (1..=MAX_COUNTED).contains(&record.generation))?;
    let issued = IssuedLicense::of_record(key, record, now);
    issued.check().is_ok().then_some(issued)
}

/// Whether a licence was revoked on purpose, which is final, and not only by the tombstone of its
/// old key, which a reconciliation adopts first.
fn was_revoked(id: &LicenseId) -> Result<bool, Problem> {
    Ok(db::query_one(WAS_REVOKED, vec![text(id.as_str()), text(ACTION)])?.is_some())
}

fn find(query: &str, given: &Value) -> Result<BTreeSet<String>, Problem> {
    let rows = db::query(query, vec![text(given.to_string())])?;
    rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}
