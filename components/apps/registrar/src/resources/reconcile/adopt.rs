//! Adopts licences that the store has and the database does not know: they were written before
//! there was a database, or after the backup from which it was restored. The store stays as it is.
//!
//! If the licence's product is missing too, it is created. An unadopted licence is valid for its
//! holder while its vendor can neither find nor revoke it, and a licence needs only the code of its
//! product.

use std::collections::{BTreeMap, BTreeSet};

use countersign::key::KeyHash;
use countersign::license::License;
use countersign::limits::MAX_COUNTED;
use countersign::name::Product;
use countersign::time::Timestamp;
use serde_json::{Value, json};

use crate::host::store;
use crate::limits::MAX_REPAIR_BYTES;
use crate::resources::licenses::issued::IssuedLicense;
use crate::resources::products;
use crate::sql::db::{self, text};
use crate::wire::problem::Problem;
use crate::write::change::Change;

const ACTION: &str = "license.adopted";

const KNOWN_KEYS: &str = "SELECT hash FROM keys WHERE hash IN (SELECT value FROM json_each(?1))";
/// Ids that a licence has or had.
const KNOWN_IDS: &str = "SELECT license FROM keys WHERE license IN (SELECT value FROM json_each(?1))";

/// Keys that are listed at a time: with their records they take some megabytes at most.
const LIST_AT_ONCE: u32 = 50;

/// One step: its change, its report, and the store's cursor for the next step.
pub(crate) struct Step {
    pub(crate) change: Change,
    pub(crate) report: Value,
    pub(crate) next: Option<String>,
}

/// The outcome so far.
struct Adoption {
    change: Change,
    now: Timestamp,
    adopted: u32,
    /// Records of deleted licences, and of keys that a licence no longer has. Adopting one would
    /// bring a deleted licence back.
    retired: u32,
    /// Values that are not a record that this app could have written.
    unreadable: u32,
    /// Records whose id belongs to a licence with another key.
    conflicting: u32,
    /// Ids that a licence has, had, or gets in this step.
    ids: BTreeSet<String>,
    /// Whether a product that was looked up has to be created.
    products: BTreeMap<Product, bool>,
    bytes: usize,
}

/// Adopts from some of the store's list. It ends at the limit, or earlier if there is much to
/// write.
pub(crate) fn step(cursor: Option<&str>, limit: u32, now: Timestamp) -> Result<Step, Problem> {
    let mut adoption = Adoption {
        change: Change::in_steps(),
        now,
        adopted: 0,
        retired: 0,
        unreadable: 0,
        conflicting: 0,
        ids: BTreeSet::new(),
        products: BTreeMap::new(),
        bytes: 0,
    };
    let (mut next, mut checked) = (cursor.map(str::to_owned), 0);
    // A page may have fewer keys than asked for although more follow.
    for _ in 0..limit.div_ceil(LIST_AT_ONCE) {
        let page = store::list(next.as_deref(), LIST_AT_ONCE.min(limit - checked))?;
        adoption.add(&page.keys)?;
        checked += page.keys.len() as u32;
        next = page.next;
        if next.is_none() || checked >= limit || adoption.bytes > MAX_REPAIR_BYTES {
            break;
        }
    }
    Ok(Step { report: adoption.report(checked), change: adoption.change, next })
}

impl Adoption {
    /// Adopts the licences under those of these keys that are unknown.
    fn add(&mut self, keys: &[String]) -> Result<(), Problem> {
        let hashes: Vec<_> = keys.iter().map(|key| store::hash_of(key)).collect();
        let known = find(KNOWN_KEYS, &json!(hashes))?;
        let mut licenses = Vec::new();
        for store_key in keys.iter().filter(|key| !known.contains(store::hash_of(key))) {
            // The key may have been deleted since it was listed.
            let Some(entry) = store::get(store_key)? else { continue };
            match read(store_key, &entry.value, self.now) {
                None => self.unreadable += 1,
                Some(issued) if issued.record == issued.record.retired() => self.retired += 1,
                Some(issued) => licenses.push((issued, entry.value.len())),
            }
        }
        let ids: Vec<_> = licenses.iter().map(|(issued, _)| &issued.record.id).collect();
        self.ids.append(&mut find(KNOWN_IDS, &json!(ids))?);
        for (issued, bytes) in licenses {
            if !self.ids.insert(issued.record.id.to_string()) {
                self.conflicting += 1;
                continue;
            }
            self.ensure_product(&issued.record.product)?;
            issued.adopt(&mut self.change, ACTION);
            self.adopted += 1;
            self.bytes += bytes;
        }
        Ok(())
    }

    fn ensure_product(&mut self, code: &Product) -> Result<(), Problem> {
        if !self.products.contains_key(code) {
            let is_missing = products::key_prefix(code)?.is_none();
            if is_missing {
                products::insert_bare(code, &mut self.change, self.now)?;
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
            "unknown": self.adopted + self.retired + self.unreadable + self.conflicting,
            "adopted": self.adopted,
            "retired": self.retired,
            "unreadable": self.unreadable,
            "conflicting": self.conflicting,
            "products": created,
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

fn find(query: &str, given: &Value) -> Result<BTreeSet<String>, Problem> {
    let rows = db::query(query, vec![text(given.to_string())])?;
    rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}
