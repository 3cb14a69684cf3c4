//! A licence as its vendor knows it: the record that validators read, and what they need not know.

use crate::limits::MAX_SEARCH_BYTES;
use countersign::field::FieldError;
use countersign::key::KeyHash;
use countersign::license::{License, RecordError, Status};
use countersign::limits::MAX_VALUE_BYTES;
use countersign::time::Timestamp;
use serde_json::{Map, Value as Json, json};

use crate::ask::Ask;
use crate::resources::licenses::search::queries;
use crate::resources::terms::Terms;
use crate::sql::db::{self, Row, Value, integer, moment, optional, text};
use crate::wire::answer;
use crate::wire::problem::Problem;
use crate::write::change::Change;

const INSERT: &str = "INSERT INTO licenses (id, key_hash, record, policy, max_domains, owner, metadata, created_at, updated_at, revision, \
    product, status, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const UPDATE: &str = "UPDATE licenses SET key_hash = ?2, record = ?3, policy = ?4, max_domains = ?5, owner = ?6, metadata = ?7, \
    created_at = ?8, updated_at = ?9, revision = ?10, product = ?11, status = ?12, expires_at = ?13 WHERE id = ?1";
const DELETE: &str = "DELETE FROM licenses WHERE id = ?1";

const INSERT_TERMS: &str = "INSERT OR IGNORE INTO license_terms (kind, term, license) \
    SELECT ?2, value, (SELECT number FROM licenses WHERE id = ?1) FROM json_each(?3)";
const DELETE_TERMS: &str = "DELETE FROM license_terms \
    WHERE license = (SELECT number FROM licenses WHERE id = ?1) AND kind = ?2";

// A key that was once a licence's is that licence's for good: what stands under it in the store is then a record of its own.
const INSERT_KEY: &str = "INSERT INTO keys (hash, license) VALUES (?1, ?2)";
const RETIRE_KEY: &str = "UPDATE keys SET retired = ?2 WHERE hash = ?1";

// What licences are found by: `license_terms.kind`.
const DOMAIN: &str = "domain";
const SEARCH: &str = "search";

/// A licence that was issued.
#[derive(Clone, PartialEq)]
pub(crate) struct Issued {
    /// Grows in the order of creation; 0 before it is in the database.
    pub(crate) number: i64,
    pub(crate) key: KeyHash,
    pub(crate) record: License,
    pub(crate) policy: Option<String>,
    pub(crate) max_domains: Option<u32>,
    pub(crate) owner: Option<String>,
    /// Texts by name.
    pub(crate) metadata: Map<String, Json>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Grows with every change, also of what is not in the record.
    pub(crate) revision: u64,
}

impl Issued {
    /// The licence of a record, of which nothing else is known.
    pub(crate) fn of_record(key: KeyHash, record: License, now: Timestamp) -> Self {
        Self {
            number: 0,
            key,
            record,
            policy: None,
            max_domains: None,
            owner: None,
            metadata: Map::new(),
            created_at: now,
            updated_at: now,
            revision: 1,
        }
    }

    /// The licence of this id, if the caller may know of it.
    pub(crate) fn find(ask: &Ask<'_>, id: &str) -> Result<Self, Problem> {
        Self::one(ask, queries::BY_ID, id)
    }

    /// The licence whose key this is now, if the caller may know of it.
    pub(crate) fn find_by_key(ask: &Ask<'_>, key: &KeyHash) -> Result<Self, Problem> {
        Self::one(ask, queries::BY_KEY, &key.to_hex())
    }

    fn one(ask: &Ask<'_>, query: &str, parameter: &str) -> Result<Self, Problem> {
        let row = db::query_one(query, vec![text(parameter)])?.ok_or(Problem::NotFound)?;
        let issued = Self::from_row(&row)?;
        ask.caller.check_product(issued.record.product.as_str())?;
        Ok(issued)
    }

    /// How many columns [`queries`] return of a licence.
    pub(crate) const COLUMNS: usize = 10;

    /// Reads these columns.
    pub(crate) fn from_row(row: &Row) -> Result<Self, Problem> {
        Ok(Self {
            number: row.integer(0)?,
            key: KeyHash::parse(row.text(1)?).map_err(|_| Problem::CORRUPT)?,
            record: License::from_json(row.text(2)?.as_bytes()).map_err(|_| Problem::CORRUPT)?,
            policy: row.optional_text(3)?.map(str::to_owned),
            max_domains: row.optional_integer(4)?.map(|most| most as u32),
            owner: row.optional_text(5)?.map(str::to_owned),
            metadata: serde_json::from_str(row.text(6)?).map_err(|_| Problem::CORRUPT)?,
            created_at: row.moment(7)?,
            updated_at: row.moment(8)?,
            revision: row.count(9)?,
        })
    }

    /// As its vendor is shown it: the record, and what is not in it.
    pub(crate) fn shown(&self) -> Map<String, Json> {
        let mut shown = answer::object(&self.record);
        shown.remove("format");
        shown.insert("metadata".into(), Json::Object(self.metadata.clone()));
        shown.insert("createdAt".into(), json!(self.created_at));
        shown.insert("updatedAt".into(), json!(self.updated_at));
        shown.insert("revision".into(), json!(self.revision));
        shown.extend(self.policy.as_ref().map(|policy| ("policy".into(), json!(policy))));
        shown.extend(self.max_domains.map(|most| ("maxDomains".into(), json!(most))));
        shown.extend(self.owner.as_ref().map(|owner| ("owner".into(), json!(owner))));
        shown
    }

    /// Its terms.
    pub(crate) fn terms(&self) -> Terms {
        Terms::of(&self.record, self.max_domains)
    }

    /// Gives it other terms. Its dates stay.
    pub(crate) fn set_terms(&mut self, terms: &Terms) {
        terms.apply(&mut self.record);
        self.max_domains = terms.max_domains;
    }

    /// What the fields do not say already: that they agree with one another, and that the record fits into one value of every store.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let refuse = |field, detail: &str| Err(Problem::Unprocessable(FieldError::new(field, detail)));
        if self.max_domains.is_some_and(|most| self.record.domains.len() > most as usize) {
            return refuse("domains", "are more than `maxDomains`.");
        }
        match self.record.check() {
            Ok(()) => {}
            Err(RecordError::TooMany) => return refuse("domains", "are more than 1,000."),
            Err(RecordError::Expiry) => {
                self.terms().check_expiry().map_err(Problem::Unprocessable)?;
                return refuse(
                    "expiresAt",
                    "is fixed, or the time begins with the first use and has a duration: not both.",
                );
            }
            // The terms were read within their bounds.
            Err(RecordError::Bounds | RecordError::UnknownFormat | RecordError::Corrupt { .. }) => {
                return Err(Problem::CORRUPT);
            }
        }
        if self.record.to_json().len() > MAX_VALUE_BYTES {
            return refuse("domains", "are so long that the licence has more than 65,536 bytes.");
        }
        Ok(())
    }

    /// Adds it, with a key and an id that are new.
    pub(crate) fn insert(&self, change: &mut Change, action: &'static str) {
        self.adopt(change, action);
        change.deliver(&self.record.id, &self.key, &self.record);
    }

    /// The same where the store has the record already.
    pub(crate) fn adopt(&self, change: &mut Change, action: &'static str) {
        change.run(INSERT_KEY, vec![text(self.key.to_hex()), text(self.record.id.as_str())]);
        change.run(INSERT, self.columns());
        change.run(INSERT_TERMS, self.terms_of(DOMAIN, self.domains()));
        change.run(INSERT_TERMS, self.terms_of(SEARCH, self.search_terms()));
        change.event(action, self.record.id.as_str(), None, Some(Json::Object(self.shown())));
    }

    /// Puts this in the place of what it was `before`; nothing where nothing is different.
    pub(crate) fn update(&mut self, before: &Self, change: &mut Change, action: &'static str, now: Timestamp) {
        if self == before {
            return;
        }
        self.revision += 1;
        self.updated_at = now;
        let is_rotated = self.key != before.key;
        let is_delivered = is_rotated || self.record != before.record;
        if is_delivered {
            self.record.generation = self.record.generation.max(before.record.generation + 1);
        }
        change.run(UPDATE, self.columns());
        let lists = [(DOMAIN, self.domains(), before.domains()), (SEARCH, self.search_terms(), before.search_terms())];
        for (kind, terms, _) in lists.into_iter().filter(|(_, terms, before)| terms != before) {
            change.run(DELETE_TERMS, vec![text(self.record.id.as_str()), text(kind)]);
            change.run(INSERT_TERMS, self.terms_of(kind, terms));
        }
        if is_rotated {
            change.run(INSERT_KEY, vec![text(self.key.to_hex()), text(self.record.id.as_str())]);
            before.retire_key(change);
        }
        if is_delivered {
            change.deliver(&self.record.id, &self.key, &self.record);
        }
        let (before, after) = (Json::Object(before.shown()), Json::Object(self.shown()));
        change.event(action, self.record.id.as_str(), Some(before), Some(after));
    }

    /// Takes it away; its key stays known, as a revoked licence's.
    pub(crate) fn delete(&self, change: &mut Change, action: &'static str) {
        for kind in [DOMAIN, SEARCH] {
            change.run(DELETE_TERMS, vec![text(self.record.id.as_str()), text(kind)]);
        }
        change.run(DELETE, vec![text(self.record.id.as_str())]);
        self.retire_key(change);
        change.event(action, self.record.id.as_str(), Some(Json::Object(self.shown())), None);
    }

    /// Under a key that was the licence's there is a record that says that it is over.
    fn retire_key(&self, change: &mut Change) {
        let retired = License { generation: self.record.generation + 1, ..retired(&self.record) };
        let record = retired.to_json();
        change.run(RETIRE_KEY, vec![text(self.key.to_hex()), text(record)]);
        change.deliver(&retired.id, &self.key, &retired);
    }

    /// The parameters of [`INSERT`], and the first of [`UPDATE`].
    fn columns(&self) -> Vec<Value> {
        let record = &self.record;
        vec![
            text(record.id.as_str()),
            text(self.key.to_hex()),
            text(record.to_json()),
            optional(self.policy.as_deref(), text),
            optional(self.max_domains, integer),
            optional(self.owner.as_deref(), text),
            text(Json::Object(self.metadata.clone()).to_string()),
            moment(self.created_at),
            moment(self.updated_at),
            integer(self.revision),
            text(record.product.as_str()),
            text(record.status.as_str()),
            optional(record.expires_at, moment),
        ]
    }

    /// The parameters of [`INSERT_TERMS`].
    fn terms_of(&self, kind: &str, terms: Vec<String>) -> Vec<Value> {
        vec![text(self.record.id.as_str()), text(kind), text(json!(terms).to_string())]
    }

    /// The entries of its domains.
    fn domains(&self) -> Vec<String> {
        self.record.domains.iter().map(ToString::to_string).collect()
    }

    /// What a search finds it by: its hint, its owner, and each value of its metadata.
    fn search_terms(&self) -> Vec<String> {
        let hint = self.record.hint.as_ref().map(|hint| hint.as_str());
        let values = self.metadata.values().filter_map(Json::as_str);
        hint.into_iter().chain(self.owner.as_deref()).chain(values).map(search_term).collect()
    }
}

/// What stands under a key that is a licence's no more: that it is over, and no more than a record has to say.
fn retired(record: &License) -> License {
    License {
        status: Status::Revoked,
        features: Vec::new(),
        domains: Vec::new(),
        versions: None,
        requires: Vec::new(),
        expiry_basis: Default::default(),
        duration_seconds: None,
        seat_policy: None,
        allowances: Vec::new(),
        ..record.clone()
    }
}

/// Whether a record is what a deleted licence leaves, or a changed key. So is that of a licence that was revoked and had no such terms.
pub(crate) fn is_retired(record: &License) -> bool {
    *record == retired(record)
}

/// A text as it is searched: without case, and no longer than a search may be.
pub(crate) fn search_term(given: &str) -> String {
    given.chars().flat_map(char::to_lowercase).take(MAX_SEARCH_BYTES).collect()
}
