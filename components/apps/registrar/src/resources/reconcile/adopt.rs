//! Takes in licences that the store has and the database does not know: they were written before there was a database, or after the copy
//! from which it was put back. Nothing of the store is changed.
//!
//! A licence whose product is not there gets one of its code. Until it is in the database it is valid for its holder, and its vendor can
//! neither find nor revoke it; and of a product, its code is all that a licence stands on.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::MAX_REPAIR_BYTES;
use countersign::key::KeyHash;
use countersign::license::License;
use countersign::limits::MAX_COUNTED;
use countersign::name::Product;
use countersign::time::Timestamp;
use serde_json::{Value, json};

use crate::host::store;
use crate::resources::licenses::issued::{Issued, is_retired};
use crate::resources::products;
use crate::sql::db::{self, text};
use crate::wire::problem::Problem;
use crate::write::change::Change;

const ACTION: &str = "license.adopted";

const KNOWN_KEYS: &str = "SELECT hash FROM keys WHERE hash IN (SELECT value FROM json_each(?1))";
/// Ids that are, or were, a licence's.
const KNOWN_IDS: &str = "SELECT license FROM keys WHERE license IN (SELECT value FROM json_each(?1))";

/// Keys that are listed at a time: with their records they take some megabytes at most.
const LIST_AT_ONCE: u32 = 50;

/// One step: what it changes, what it tells, and where the next one goes on in the store's list.
pub(crate) struct Step {
    pub(crate) change: Change,
    pub(crate) report: Value,
    pub(crate) next: Option<String>,
}

/// What came of the keys so far that the database does not know.
struct Adoption {
    change: Change,
    now: Timestamp,
    adopted: u32,
    /// Records of licences that are over: to list these anew would be to bring back what was deleted.
    retired: u32,
    /// What is no record, under whatever key.
    unreadable: u32,
    /// Records with the id of another key's licence.
    conflicting: u32,
    /// Ids that are, or were, or become, a licence's.
    ids: BTreeSet<String>,
    /// Those that were looked for, and whether they are made.
    products: BTreeMap<Product, bool>,
    bytes: usize,
}

/// Takes in what it finds in some of the store's list. It ends with the limit, or before once there is much to write.
pub(crate) fn step(cursor: Option<&str>, limit: u32, now: Timestamp) -> Result<Step, Problem> {
    let mut adoption = Adoption {
        change: Change::new(),
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
    // A page may have fewer keys than it was asked for, and others follow all the same.
    for _ in 0..limit.div_ceil(LIST_AT_ONCE) {
        let page = store::list(next.as_deref(), LIST_AT_ONCE.min(limit - checked))?;
        adoption.take_in(&page.keys)?;
        checked += page.keys.len() as u32;
        next = page.next;
        if next.is_none() || checked >= limit || adoption.bytes > MAX_REPAIR_BYTES {
            break;
        }
    }
    Ok(Step { report: adoption.report(checked), change: adoption.change, next })
}

impl Adoption {
    /// Takes in those of these keys' records that are licences and new.
    fn take_in(&mut self, keys: &[String]) -> Result<(), Problem> {
        let hashes: Vec<_> = keys.iter().map(|key| store::hash_of(key)).collect();
        let known = find(KNOWN_KEYS, &json!(hashes))?;
        let mut licenses = Vec::new();
        for store_key in keys.iter().filter(|key| !known.contains(store::hash_of(key))) {
            // It may be gone since it was listed.
            let Some(entry) = store::get(store_key)? else { continue };
            match read(store_key, &entry.value, self.now) {
                None => self.unreadable += 1,
                Some(issued) if is_retired(&issued.record) => self.retired += 1,
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
            self.make_product(&issued.record.product)?;
            issued.adopt(&mut self.change, ACTION);
            self.adopted += 1;
            self.bytes += bytes;
        }
        Ok(())
    }

    fn make_product(&mut self, code: &Product) -> Result<(), Problem> {
        if !self.products.contains_key(code) {
            let is_missing = products::key_prefix(code)?.is_none();
            if is_missing {
                products::make(code, &mut self.change, self.now);
            }
            self.products.insert(code.clone(), is_missing);
        }
        Ok(())
    }

    fn report(&self, checked: u32) -> Value {
        let made: Vec<_> = self.products.iter().filter(|(_, is_made)| **is_made).map(|(code, _)| code).collect();
        json!({
            "checked": checked,
            "repaired": 0,
            "unknown": self.adopted + self.retired + self.unreadable + self.conflicting,
            "adopted": self.adopted,
            "retired": self.retired,
            "unreadable": self.unreadable,
            "conflicting": self.conflicting,
            "products": made,
        })
    }
}

/// The licence that stands under a key of the store, if it is one that this app could have written there.
fn read(store_key: &str, record: &[u8], now: Timestamp) -> Option<Issued> {
    let key = KeyHash::parse(store::hash_of(store_key)).ok().filter(|key| key.store_key() == store_key)?;
    let record = License::from_json(record).ok().filter(|record| (1..=MAX_COUNTED).contains(&record.generation))?;
    let issued = Issued::of_record(key, record, now);
    issued.check().is_ok().then_some(issued)
}

fn find(query: &str, given: &Value) -> Result<BTreeSet<String>, Problem> {
    let rows = db::query(query, vec![text(given.to_string())])?;
    rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}
