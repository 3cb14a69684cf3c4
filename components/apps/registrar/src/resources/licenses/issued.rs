//! A licence as its vendor knows it: the record that validators read, and what only vendors need.

use countersign::audit::{self, CHECK};
use countersign::hex;
use countersign::key::{KeyHash, Reading};
use countersign::license::{ExpiryBasis, Format, License, RecordError};
use countersign::limits::{MAX_COUNTED, MAX_DOMAINS, MAX_VALUE_BYTES};
use countersign::time::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::search::{queries, terms};
use crate::ask::Ask;
use crate::bindings::countersign::license::sql::Statement;
use crate::resources::terms::Terms;
use crate::sql::db::{self, Row, Value, integer, moment, optional, statement, text};
use crate::wire::answer;
use crate::wire::problem::{self, NOT_FOUND, Problem, corrupt, unprocessable};
use crate::write::change::Change;

const INSERT: &str = "INSERT INTO licenses (id, key_hash, record, policy, max_domains, owner, metadata, created_at, updated_at, revision, \
    product, status, expires_at, owner_folded, index_version, weak_key, begun_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
const UPDATE: &str = "UPDATE licenses SET key_hash = ?2, record = ?3, policy = ?4, max_domains = ?5, owner = ?6, metadata = ?7, \
    created_at = ?8, updated_at = ?9, revision = ?10, product = ?11, status = ?12, expires_at = ?13, owner_folded = ?14, \
    index_version = ?15, weak_key = ?16, begun_at = ?17 WHERE id = ?1";
const INDEX: &str =
    "UPDATE licenses SET owner_folded = ?3, index_version = ?4 WHERE id = ?1 AND revision = ?2 RETURNING number";
const DELETE: &str = "DELETE FROM licenses WHERE id = ?1";

const INSERT_TERMS: &str = "INSERT OR IGNORE INTO license_terms (kind, term, license) \
    SELECT ?2, value, (SELECT number FROM licenses WHERE id = ?1) FROM json_each(?3)";
const DELETE_TERMS: &str = "DELETE FROM license_terms \
    WHERE license = (SELECT number FROM licenses WHERE id = ?1) AND kind = ?2";

// Keys are never reused. A retired key keeps its own, revoked, record in the store.
const INSERT_KEY: &str = "INSERT INTO keys (hash, license) VALUES (?1, ?2)";
const RETIRE_KEY: &str = "UPDATE keys SET retired = ?2 WHERE hash = ?1";

// The kinds of terms by which licences are found: `license_terms.kind`.
const DOMAIN: &str = "domain";
const SEARCH: &str = "search";

/// A licence in the database, or one that is about to be.
#[derive(Clone, PartialEq)]
pub(crate) struct IssuedLicense {
    /// Grows in the order of creation; 0 until the licence is in the database.
    pub(crate) number: i64,
    pub(crate) key: KeyHash,
    /// Whether the key may be guessed over the network: its vendor allowed it.
    pub(crate) weak_key: bool,
    /// Whether the key is being generated: the event that tells of it has its check.
    pub(crate) is_key_generated: bool,
    pub(crate) record: License,
    /// When its time began, as far as is known, if that begins with its first use.
    pub(crate) begun_at: Option<Timestamp>,
    pub(crate) policy: Option<String>,
    pub(crate) max_domains: Option<u32>,
    pub(crate) owner: Option<String>,
    pub(crate) metadata: Map<String, Json>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Grows with every change, also of members that are not in the record.
    pub(crate) revision: u64,
}

impl IssuedLicense {
    /// The licence of a record, without what only its vendor knows.
    pub(crate) fn of_record(key: KeyHash, record: License, now: Timestamp) -> Self {
        Self {
            number: 0,
            key,
            weak_key: false,
            is_key_generated: false,
            record,
            begun_at: None,
            policy: None,
            max_domains: None,
            owner: None,
            metadata: Map::new(),
            created_at: now,
            updated_at: now,
            revision: 1,
        }
    }

    /// The licence of this id, if the caller may see it.
    pub(crate) fn find(ask: &Ask<'_>, id: &str) -> Result<Self, Problem> {
        Self::one(ask, queries::BY_ID, id)
    }

    /// The licence whose current key this is, if the caller may see it.
    pub(crate) fn find_by_key(ask: &Ask<'_>, key: &Reading) -> Result<Self, Problem> {
        let mut found = Err(NOT_FOUND);
        for hash in key.hashes() {
            found = Self::one(ask, queries::BY_KEY, &hash.to_hex());
            if !matches!(&found, Err(problem) if problem.code == NOT_FOUND.code) {
                break;
            }
        }
        found
    }

    fn one(ask: &Ask<'_>, query: &str, parameter: &str) -> Result<Self, Problem> {
        let row = db::query_one(query, vec![text(parameter)])?.ok_or(NOT_FOUND)?;
        let issued = Self::from_row(&row)?;
        ask.caller.check_product(issued.record.product.as_str())?;
        Ok(issued)
    }

    /// The number of a licence's columns in [`queries`].
    pub(crate) const COLUMNS: usize = 12;

    /// Reads these columns.
    pub(crate) fn from_row(row: &Row) -> Result<Self, Problem> {
        Ok(Self {
            number: row.integer(0)?,
            key: KeyHash::parse(row.text(1)?).map_err(|_| corrupt())?,
            record: License::from_json(row.text(2)?.as_bytes()).map_err(|_| corrupt())?,
            policy: row.optional_text(3)?.map(str::to_owned),
            max_domains: row.optional_integer(4)?.map(|most| most as u32),
            owner: row.optional_text(5)?.map(str::to_owned),
            metadata: serde_json::from_str(row.text(6)?).map_err(|_| corrupt())?,
            created_at: row.moment(7)?,
            updated_at: row.moment(8)?,
            revision: row.count(9)?,
            weak_key: row.integer(10)? != 0,
            is_key_generated: false,
            begun_at: row.optional_moment(11)?,
        })
    }

    /// The licence as the API shows it.
    pub(crate) fn view(&self) -> Map<String, Json> {
        let mut view = answer::object(&self.record);
        view.remove("format");
        view.insert("metadata".into(), Json::Object(self.metadata.clone()));
        view.insert("createdAt".into(), json!(self.created_at));
        view.insert("updatedAt".into(), json!(self.updated_at));
        view.insert("revision".into(), json!(self.revision));
        if self.weak_key {
            view.insert("weakKey".into(), true.into());
        }
        view.extend(self.policy.as_ref().map(|policy| ("policy".into(), json!(policy))));
        view.extend(self.max_domains.map(|most| ("maxDomains".into(), json!(most))));
        view.extend(self.owner.as_ref().map(|owner| ("owner".into(), json!(owner))));
        if let Some(begun_at) = self.begun_at.filter(|_| self.record.expiry_basis != ExpiryBasis::Issue) {
            view.insert("begunAt".into(), json!(begun_at));
            view.insert("endsAt".into(), json!(self.ends_at()));
        }
        view
    }

    /// The licence as the event that gives it its key shows it. A key that is not checked has the
    /// check `null`, which takes the place of an earlier one.
    fn view_with_check(&self) -> Map<String, Json> {
        let mut view = self.view();
        let check = || hex::encode(&audit::check(self.record.id.as_str(), self.key.as_bytes()));
        view.insert(CHECK.into(), json!(self.is_key_generated.then(check)));
        view
    }

    /// When it ends, as far as is known: the time of some licences begins with their first use.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        self.record.ends_at(self.begun_at)
    }

    /// The view without what follows from the licence's state, which is neither exported nor
    /// imported with it.
    pub(crate) fn view_without_state(&self) -> Map<String, Json> {
        Self { begun_at: None, ..self.clone() }.view()
    }

    /// The members of a view that are the record's, as this version writes them; `None` if the view
    /// is not a licence's.
    pub(crate) fn normal_record(view: &Map<String, Json>) -> Option<Map<String, Json>> {
        let mut record = view.clone();
        for name in [
            "metadata",
            "createdAt",
            "updatedAt",
            "revision",
            "policy",
            "maxDomains",
            "owner",
            "weakKey",
            "begunAt",
            "endsAt",
        ] {
            record.remove(name);
        }
        record.insert("format".into(), json!(Format));
        let record = License::from_json(Json::Object(record).to_string().as_bytes()).ok()?;
        let mut record = answer::object(&record);
        record.remove("format");
        Some(record)
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms::of(&self.record, self.max_domains)
    }

    /// Gives the licence other terms. It keeps its dates.
    pub(crate) fn set_terms(&mut self, terms: &Terms) {
        terms.apply(&mut self.record);
        self.max_domains = terms.max_domains;
    }

    /// Checks that the members agree with one another, and that the record fits into one value of
    /// every store.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if let Some(most) = self.max_domains.filter(|most| self.record.domains.len() > *most as usize) {
            return Err(unprocessable("domains", format_args!("must have at most `maxDomains` ({most}) entries.")));
        }
        match self.record.check() {
            Ok(()) => {}
            Err(RecordError::TooMany) => {
                return Err(unprocessable("domains", format_args!("must have at most {MAX_DOMAINS} entries.")));
            }
            Err(RecordError::Expiry) => {
                self.terms().check_expiry().map_err(problem::refused)?;
                let detail = "must be absent if the time begins with the first use; its end follows from the duration.";
                return Err(unprocessable("expiresAt", detail));
            }
            // Cannot happen: terms are read within their bounds.
            Err(RecordError::Bounds | RecordError::UnknownFormat | RecordError::Corrupt { .. }) => {
                return Err(corrupt());
            }
        }
        if self.record.to_json().len() > MAX_VALUE_BYTES {
            let field = if self.record.users.len() > self.record.domains.len() { "users" } else { "domains" };
            let detail = format_args!("make the licence longer than {MAX_VALUE_BYTES} bytes; remove some.");
            return Err(unprocessable(field, detail));
        }
        Ok(())
    }

    /// Adds the licence, whose key and id must be new, and delivers its record.
    pub(crate) fn insert(&self, change: &mut Change, action: &'static str) {
        self.adopt(change, action);
        change.deliver(&self.record.id, &self.key, &self.record);
    }

    /// As [`insert`](Self::insert), for a record that the store has already.
    pub(crate) fn adopt(&self, change: &mut Change, action: &'static str) {
        change.run(INSERT_KEY, vec![text(self.key.to_hex()), text(self.record.id.as_str())]);
        change.run(INSERT, self.columns());
        change.run(INSERT_TERMS, self.terms_of(DOMAIN, self.domains()));
        change.run(INSERT_TERMS, self.terms_of(SEARCH, self.search_terms()));
        let view = if self.is_key_generated { self.view_with_check() } else { self.view() };
        change.event(action, self.record.id.as_str(), None, Some(Json::Object(view)));
    }

    /// Replaces the licence as it was `before`. Does nothing if both are equal.
    ///
    /// # Errors
    /// If the licence's generation is at its end.
    pub(crate) fn update(
        &mut self,
        before: &Self,
        change: &mut Change,
        action: &'static str,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if self == before {
            return Ok(());
        }
        self.revision += 1;
        self.updated_at = now;
        let is_rotated = self.key != before.key;
        let is_delivered = is_rotated || self.record != before.record;
        if is_delivered {
            self.record.generation = self.record.generation.max(next_generation(before.record.generation)?);
        }
        change.run(UPDATE, self.columns());
        // The terms of the search always, as they may be of an older version.
        let domains = (self.domains() != before.domains()).then(|| (DOMAIN, self.domains()));
        for (kind, terms) in domains.into_iter().chain([(SEARCH, self.search_terms())]) {
            change.run(DELETE_TERMS, vec![text(self.record.id.as_str()), text(kind)]);
            change.run(INSERT_TERMS, self.terms_of(kind, terms));
        }
        if is_rotated {
            change.run(INSERT_KEY, vec![text(self.key.to_hex()), text(self.record.id.as_str())]);
            before.retire_key(change)?;
        }
        if is_delivered {
            change.deliver(&self.record.id, &self.key, &self.record);
        }
        let after = if is_rotated { self.view_with_check() } else { self.view() };
        let (before, after) = (Json::Object(before.view()), Json::Object(after));
        change.event(action, self.record.id.as_str(), Some(before), Some(after));
        Ok(())
    }

    /// Deletes the licence. Its key stays known, as retired.
    ///
    /// # Errors
    /// If the licence's generation is at its end.
    pub(crate) fn delete(&self, change: &mut Change, action: &'static str) -> Result<(), Problem> {
        for kind in [DOMAIN, SEARCH] {
            change.run(DELETE_TERMS, vec![text(self.record.id.as_str()), text(kind)]);
        }
        change.run(DELETE, vec![text(self.record.id.as_str())]);
        self.retire_key(change)?;
        change.event(action, self.record.id.as_str(), Some(Json::Object(self.view())), None);
        Ok(())
    }

    /// The licence without its owner's personal data.
    pub(crate) fn without_personal_data(&self) -> Self {
        Self { owner: None, metadata: Map::new(), ..self.clone() }
    }

    /// Replaces the licence by one without its owner's personal data, and does not say what that
    /// was. The licence goes on working: its record has none.
    pub(crate) fn forget_owner(&self, change: &mut Change, action: &'static str, now: Timestamp) {
        let before = self.without_personal_data();
        let after = Self { revision: self.revision + 1, updated_at: now, ..before.clone() };
        change.run(UPDATE, after.columns());
        change.run(DELETE_TERMS, vec![text(self.record.id.as_str()), text(SEARCH)]);
        change.run(INSERT_TERMS, after.terms_of(SEARCH, after.search_terms()));
        let (before, after) = (Json::Object(before.view()), Json::Object(after.view()));
        change.event(action, self.record.id.as_str(), Some(before), Some(after));
    }

    /// Leaves a tombstone in place of a record that the database does not have. Its key is known
    /// from then on, as retired.
    ///
    /// # Errors
    /// If the record's generation is at its end.
    pub(crate) fn retire_unknown(&self, change: &mut Change) -> Result<(), Problem> {
        change.run(INSERT_KEY, vec![text(self.key.to_hex()), text(self.record.id.as_str())]);
        self.retire_key(change)
    }

    /// Replaces the record under a key that the licence no longer has.
    fn retire_key(&self, change: &mut Change) -> Result<(), Problem> {
        let retired = License { generation: next_generation(self.record.generation)?, ..self.record.retired() };
        change.run(RETIRE_KEY, vec![text(self.key.to_hex()), text(retired.to_json())]);
        change.deliver(&retired.id, &self.key, &retired);
        Ok(())
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
            optional(self.ends_at(), moment),
            optional(self.owner.as_deref(), |owner| text(terms::fold(owner))),
            integer(terms::VERSION),
            integer(i64::from(self.weak_key)),
            optional(self.begun_at, moment),
        ]
    }

    /// The parameters of [`INSERT_TERMS`].
    fn terms_of(&self, kind: &str, terms: Vec<String>) -> Vec<Value> {
        vec![text(self.record.id.as_str()), text(kind), text(json!(terms).to_string())]
    }

    fn domains(&self) -> Vec<String> {
        self.record.domains.iter().map(ToString::to_string).collect()
    }

    /// The texts by which a search finds the licence.
    fn search_terms(&self) -> Vec<String> {
        let hint = self.record.hint.as_ref().map(|hint| hint.as_str());
        let values = self.metadata.values().filter_map(Json::as_str);
        hint.into_iter().chain(self.owner.as_deref()).chain(values).flat_map(terms::terms_of).collect()
    }

    /// The statements that give the terms of this version to a licence of an older one. They have
    /// an effect only while it has this revision.
    pub(crate) fn index(&self) -> Vec<Statement> {
        let id = self.record.id.as_str();
        let parameters = vec![
            text(id),
            integer(self.revision),
            optional(self.owner.as_deref(), |owner| text(terms::fold(owner))),
            integer(terms::VERSION),
        ];
        vec![
            statement(INDEX, parameters, Some(1)),
            statement(DELETE_TERMS, vec![text(id), text(SEARCH)], None),
            statement(INSERT_TERMS, self.terms_of(SEARCH, self.search_terms()), None),
        ]
    }
}

/// The generation after one, which must be a whole number that every reader of JSON takes exactly.
pub(crate) fn next_generation(generation: u64) -> Result<u64, Problem> {
    let detail = "This licence was changed as often as its generation can count; issue a new licence instead.";
    generation.checked_add(1).filter(|next| *next <= MAX_COUNTED).ok_or(problem::conflict(detail))
}
