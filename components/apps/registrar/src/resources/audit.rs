//! Holds the database to its events.
//!
//! The chain shows that the events are as they were written. It says nothing of the tables that
//! they tell of: whoever can write the database can change a licence, or add a token, without an
//! event. So each event's `before` is compared with the `after` of the event before it on the same
//! resource, the last `after` with the resource, and each resource and key with its events.
//!
//! The hashes of keys and tokens are in no event, but a check of those that were generated is. Not
//! compared are the hashes of other keys, and what does not belong to a resource: counts of
//! validations, stored answers, terms of the search.

use countersign::audit::{BEGINNING, CHECK, ERASED, PERSONAL, check, content, link, rest};
use countersign::crockford;
use countersign::hex;
use countersign::id::LicenseId;
use countersign::license::{License, Status};
use countersign_app_common::answer;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::limits::MAX_BULK_ITEMS;
use crate::resources::licenses::issued::IssuedLicense;
use crate::resources::licenses::search::queries;
use crate::resources::{events, policies, products, tokens};
use crate::sql::db::{self, integer, text};
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{Problem, corrupt};
use crate::wire::query::unknown_cursor;
use crate::write::change::{Change, change};
use crate::write::{End, head};

/// Rows that are read at a time: events with the largest licence before and after take some
/// megabytes.
const READ_AT_ONCE: u32 = 20;

/// The subject of events about the audit itself: the id of no resource.
pub(crate) const HEAD: &str = "audit_head";

const CHAIN: &str = concat!("SELECT ", events::columns!(), " FROM events WHERE number > ?1 ORDER BY number LIMIT ?2");
const RECORDED: &str = "SELECT after FROM events WHERE number = ?1 AND action = ?2";
const HASH: &str = "SELECT hash FROM events WHERE number = ?1";
/// By subject, from the event of the cursor on, which is read again for its `after`.
const HISTORY: &str = "
    SELECT number, subject, before, after, personal, erased FROM events WHERE (subject, number) >= (?1, ?2)
    AND +action NOT IN (SELECT value FROM json_each(?4)) ORDER BY subject, number LIMIT ?3";
const LAST: &str = "
    SELECT before, after, personal, erased FROM events
    WHERE subject = ?1 AND +action NOT IN (SELECT value FROM json_each(?2)) ORDER BY number DESC LIMIT 1";
/// Tables of resources other than licences: each row's id, whether it has an event, and of tokens
/// the check in their events and the hash that it is of.
const ROWS: [&str; 3] = [
    "SELECT number, code, EXISTS (SELECT 1 FROM events WHERE subject = code), NULL FROM products
     WHERE number > ?1 ORDER BY number LIMIT ?2",
    "SELECT number, id, EXISTS (SELECT 1 FROM events WHERE subject = policies.id), NULL FROM policies
     WHERE number > ?1 ORDER BY number LIMIT ?2",
    "SELECT number, id, EXISTS (SELECT 1 FROM events WHERE subject = tokens.id),
        (SELECT json_extract(after, '$.check') FROM events WHERE subject = tokens.id ORDER BY number LIMIT 1), hash
     FROM tokens WHERE number > ?1 ORDER BY number LIMIT ?2",
];
/// The check of a licence's key in its events. That of a key which cannot be checked is `null`.
const LAST_CHECK: &str = "
    SELECT json_extract(after, '$.check') FROM events
    WHERE subject = ?1 AND json_type(after, '$.check') IS NOT NULL ORDER BY number DESC LIMIT 1";
/// Each key, with the licence that has it now, and whether the licence has an event.
const KEYS: &str = "
    SELECT keys.hash, keys.license, keys.retired, licenses.id,
        EXISTS (SELECT 1 FROM events WHERE subject = keys.license)
    FROM keys LEFT JOIN licenses ON licenses.key_hash = keys.hash
    WHERE keys.hash > ?1 ORDER BY keys.hash LIMIT ?2";

/// How far an audit has come: its cursor.
enum Progress {
    /// The chain up to the event of this number.
    Chain(u64),
    /// The events in the order of their subjects, up to this one.
    History(String, u64),
    /// The rows of a table of [`ROWS`], or after them of the licences, up to this number.
    Rows(usize, i64),
    /// The keys up to this hash.
    Keys(String),
}

/// What one step found.
struct Report {
    checked: u32,
    faults: Vec<Value>,
    /// An event that records erasures, as it was read last: its number, and what it records.
    recorded: Option<(i64, Value)>,
}

/// An event on a resource, as its successor must know it.
struct Told {
    number: u64,
    subject: String,
    after: Option<Value>,
    /// Whether personal data was erased from it.
    is_erased: bool,
}

/// `GET /api/v1/audit`: one step, and what it found wrong.
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    let limit = ask.query.limit_up_to(MAX_BULK_ITEMS, MAX_BULK_ITEMS)?;
    let with_chain = ask.query.parse_one("chain", |text| text.parse::<bool>().map_err(|_| "must be true or false"))?;
    let cursor = ask.query.take("cursor");
    ask.query.finish()?;
    // In this order: what is remembered was written after the event that it names.
    let remembered = head::recall()?;
    let end = End::read()?;
    let mut report = Report { checked: 0, faults: Vec::new(), recorded: None };
    let progress = match cursor {
        Some(cursor) => Progress::read(&cursor).ok_or_else(unknown_cursor)?,
        None => {
            if let Some(known) = remembered.filter(|known| known.number > end.number || !head::has(*known, end)) {
                let detail = format!("Event {} is not the one that the store remembers.", known.number);
                report.add("CHAIN", HEAD, Some(known.number), detail);
            }
            if with_chain.unwrap_or(true) { Progress::Chain(0) } else { Progress::History(String::new(), 0) }
        }
    };
    let next = match progress {
        Progress::Chain(after) => report.chain(after, end, limit)?,
        Progress::History(subject, number) => report.history(subject, number, limit)?,
        Progress::Rows(table, after) => report.rows(table, after, limit)?,
        Progress::Keys(after) => report.keys(after, limit)?,
    };
    let mut body = json!({ "checked": report.checked, "faults": report.faults, "head": shown(end) });
    if let Some(remembered) = remembered {
        body["remembered"] = shown(remembered);
    }
    if let Some(next) = next {
        body["next"] = next.cursor().into();
    }
    Ok(answer::json(200, &body))
}

/// `POST /api/v1/audit/accept`: has the store remember the chain as it is now, as after the
/// database was restored from a copy on purpose. The event of this says what was remembered before.
pub(crate) fn accept(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.optional_fields()?.finish()?;
    let mut is_retry = true;
    let response = change(ask, &mut || {
        is_retry = false;
        // What is unreadable is replaced too.
        let (remembered, end) = (head::recall().unwrap_or_default(), End::read()?);
        let mut change = Change::new();
        change.event("audit.accepted", HEAD, remembered.map(shown), Some(shown(end)));
        Ok((change, Answer::ok(json!({ "accepted": shown(end) }), None)))
    })?;
    // A retry accepts what the first request did, and nothing that happened since.
    head::replace(if is_retry { accepted(&response)? } else { End::read()? })?;
    Ok(response)
}

/// Whether the licence is as its last event says.
pub(crate) fn accounts_for(issued: &IssuedLicense) -> Result<bool, Problem> {
    let id = issued.record.id.as_str();
    let row = db::query_one(LAST, vec![text(id), of_state()])?;
    let Some(row) = row else { return Ok(false) };
    let ([_, last], is_erased) = (events::states(&row, [0, 1, 2])?, row.optional_integer(3)?.is_some());
    if !last.is_some_and(|last| is_same(Some(&last), Some(&Value::Object(issued.view())), is_erased)) {
        return Ok(false);
    }
    let check = db::query_one(LAST_CHECK, vec![text(id)])?;
    let check = check.as_ref().map(|row| row.optional_text(0)).transpose()?.flatten();
    Ok(is_checked(check, id, issued.key.as_bytes()))
}

/// Whether a hash is the one that the events tell of, if they do.
fn is_checked(told: Option<&str>, id: &str, hash: &[u8; 32]) -> bool {
    told.is_none_or(|told| told == hex::encode(&check(id, hash)))
}

fn of_state() -> db::Value {
    text(json!(events::OF_STATE).to_string())
}

fn shown(end: End) -> Value {
    json!({ "number": end.number, "hash": hex::encode(&end.hash) })
}

/// The end in an answer of [`accept`].
fn accepted(response: &Response) -> Result<End, Problem> {
    let body: Value = serde_json::from_slice(&response.body).map_err(|_| corrupt())?;
    let (number, hash) = (body["accepted"]["number"].as_u64(), body["accepted"]["hash"].as_str());
    let end = number.zip(hash.and_then(hex::decode)).map(|(number, hash)| End { number, hash });
    end.ok_or_else(corrupt)
}

impl Report {
    fn add(&mut self, code: &str, subject: &str, event: Option<u64>, detail: impl Into<String>) {
        let mut fault = json!({ "code": code, "subject": subject, "detail": detail.into() });
        if let Some(event) = event {
            fault["event"] = event.into();
        }
        self.faults.push(fault);
    }

    /// Follows the chain. It ends at the first fault, as nothing that follows one can be trusted.
    fn chain(&mut self, after: u64, end: End, limit: u32) -> Result<Option<Progress>, Problem> {
        let next = Some(Progress::History(String::new(), 0));
        let mut last = End { number: after, hash: BEGINNING };
        if after > 0 {
            match db::query_one(HASH, vec![integer(after)])? {
                Some(row) => last.hash = row.hash(0)?,
                None => return Ok(next),
            }
        }
        while self.checked < limit {
            let count = READ_AT_ONCE.min(limit - self.checked);
            let rows = db::query(CHAIN, vec![integer(last.number), integer(count)])?;
            for row in &rows {
                let (number, event) = (last.number + 1, events::view(row)?);
                let (linked, is_recorded) = self.link(&last.hash, &event)?;
                let fault = if event["number"] != number {
                    Some("is missing or out of place")
                } else if event["previous"] != hex::encode(&last.hash) {
                    Some("does not follow the event before it")
                } else if event["hash"] != hex::encode(&linked) || !is_recorded {
                    Some("was changed")
                } else if number == end.number && linked != end.hash {
                    Some("is not the end of the chain that the database names")
                } else {
                    None
                };
                if let Some(fault) = fault {
                    self.add("CHAIN", HEAD, Some(number), format!("Event {number} {fault}."));
                    return Ok(next);
                }
                last = End { number, hash: linked };
                self.checked += 1;
            }
            if rows.len() < count as usize {
                if last.number < end.number {
                    self.add("CHAIN", HEAD, Some(last.number + 1), format!("Event {} is missing.", last.number + 1));
                }
                return Ok(next);
            }
        }
        Ok(Some(Progress::Chain(last.number)))
    }

    /// The hash of an event, and whether personal data was erased from it only as another event
    /// records.
    fn link(&mut self, previous: &[u8; 32], event: &Value) -> Result<([u8; 32], bool), Problem> {
        let Some(content) = content(event) else { return Ok(([0; 32], false)) };
        let linked = link(previous, &content);
        let Some(recorder) = event["erased"].as_i64() else { return Ok((linked, true)) };
        let mut erasure = json!({ "number": event["number"] });
        let is_old = event.get("personal").is_none();
        if is_old {
            erasure["rest"] = hex::encode(&rest(&content)).into();
        }
        if self.recorded.as_ref().is_none_or(|(number, _)| *number != recorder) {
            let row = db::query_one(RECORDED, vec![integer(recorder), text(ERASED)])?;
            self.recorded = Some((recorder, row.map(|row| row.json(0)).transpose()?.unwrap_or_default()));
        }
        let recorded = self.recorded.as_ref().and_then(|(_, after)| after["events"].as_array());
        let is_recorded = recorded.is_some_and(|recorded| recorded.contains(&erasure));
        // The hash of an event of an earlier version was made with the data that is gone.
        let written = event["hash"].as_str().and_then(hex::decode).filter(|_| is_old);
        Ok((written.unwrap_or(linked), is_recorded))
    }

    /// Follows each resource from event to event, and compares the resource with the last one.
    fn history(&mut self, subject: String, number: u64, limit: u32) -> Result<Option<Progress>, Problem> {
        let mut last = Told { number, subject, after: None, is_erased: false };
        loop {
            // One more than is checked, as the event of the cursor is read again.
            let count = READ_AT_ONCE.min(limit - self.checked) + u32::from(last.number > 0);
            let rows =
                db::query(HISTORY, vec![text(&*last.subject), integer(last.number), integer(count), of_state()])?;
            for row in &rows {
                let [before, after] = events::states(row, [2, 3, 4])?;
                let is_erased = row.optional_integer(5)?.is_some();
                let told = Told { number: row.count(0)?, subject: row.text(1)?.into(), after, is_erased };
                if (told.number, &told.subject) == (last.number, &last.subject) {
                    last = told;
                    continue;
                }
                let (expected, is_erased) = if told.subject == last.subject {
                    (last.after.as_ref(), last.is_erased || told.is_erased)
                } else {
                    self.compare(&last)?;
                    (None, false)
                };
                if told.subject != HEAD && !is_same(expected, before.as_ref(), is_erased) {
                    let detail = format!("Event {} changes another state than the one before it left.", told.number);
                    self.add("HISTORY", &told.subject, Some(told.number), detail);
                }
                last = told;
                self.checked += 1;
            }
            if rows.len() < count as usize {
                self.compare(&last)?;
                return Ok(Some(Progress::Rows(0, 0)));
            }
            if self.checked >= limit {
                return Ok(Some(Progress::History(last.subject, last.number)));
            }
        }
    }

    /// Compares a resource with the last event on it.
    fn compare(&mut self, last: &Told) -> Result<(), Problem> {
        let Some(present) = find(&last.subject)? else { return Ok(()) };
        let (code, says) = match (&last.after, &present) {
            (after, present) if is_same(after.as_ref(), present.as_ref(), last.is_erased) => return Ok(()),
            (Some(_), Some(_)) => ("DIFFERS", "is not as its last event says"),
            (Some(_), None) => ("MISSING", "does not exist, and no event deleted it"),
            (None, _) => ("NO_EVENT", "exists, and its last event deleted it"),
        };
        let detail = format!("{} {says}.", last.subject);
        self.add(code, &last.subject, Some(last.number), detail);
        Ok(())
    }

    /// Looks for resources without an event.
    fn rows(&mut self, table: usize, after: i64, limit: u32) -> Result<Option<Progress>, Problem> {
        let Some(query) = ROWS.get(table) else { return self.licenses(after, limit) };
        let rows = db::query(query, vec![integer(after), integer(limit)])?;
        for row in &rows {
            let id = row.text(1)?;
            let check = row.optional_text(3)?;
            if row.integer(2)? == 0 {
                self.add("NO_EVENT", id, None, format!("{id} has no event."));
            } else if check.is_some() && !is_checked(check, id, &row.hash(4)?) {
                self.add("DIFFERS", id, None, format!("{id} is another token than its events tell of."));
            }
        }
        self.checked += rows.len() as u32;
        Ok(Some(match rows.last() {
            Some(last) if rows.len() == limit as usize => Progress::Rows(table, last.integer(0)?),
            _ => Progress::Rows(table + 1, 0),
        }))
    }

    /// Looks for licences without an event, and for columns that say something else than the record
    /// that they were copied from.
    fn licenses(&mut self, mut after: i64, limit: u32) -> Result<Option<Progress>, Problem> {
        while self.checked < limit {
            let count = READ_AT_ONCE.min(limit - self.checked);
            let rows = db::query(queries::FOR_AUDIT, vec![integer(after), integer(count)])?;
            for row in &rows {
                let issued = IssuedLicense::from_row(row)?;
                after = issued.number;
                let (record, column) = (&issued.record, IssuedLicense::COLUMNS);
                let id = record.id.as_str();
                let is_copy = row.text(column)? == record.product.as_str()
                    && row.text(column + 1)? == record.status.as_str()
                    && row.optional_moment(column + 2)? == issued.ends_at()
                    && row.text(column + 3)? == id;
                if row.integer(column + 4)? == 0 {
                    self.add("NO_EVENT", id, None, format!("{id} has no event."));
                } else if !is_copy {
                    self.add("DIFFERS", id, None, format!("Columns of {id} are not as its record says."));
                } else if row.integer(column + 5)? == 0 {
                    self.add("DIFFERS", id, None, format!("The key of {id} is not among its keys."));
                } else if !is_checked(row.optional_text(column + 6)?, id, issued.key.as_bytes()) {
                    self.add("DIFFERS", id, None, format!("The key of {id} is another one than its events tell of."));
                }
            }
            self.checked += rows.len() as u32;
            if rows.len() < count as usize {
                return Ok(Some(Progress::Keys(String::new())));
            }
        }
        Ok(Some(Progress::Rows(ROWS.len(), after)))
    }

    /// Looks for keys of no licence, and for old keys whose record in the store is more than a
    /// tombstone.
    fn keys(&mut self, after: String, limit: u32) -> Result<Option<Progress>, Problem> {
        let rows = db::query(KEYS, vec![text(after), integer(limit)])?;
        for row in &rows {
            let id = row.text(1)?;
            let is_tombstone = match row.optional_text(2)? {
                None => row.optional_text(3)? == Some(id),
                Some(record) => row.optional_text(3)?.is_none() && is_tombstone(record, id),
            };
            if row.integer(4)? == 0 {
                self.add("NO_EVENT", id, None, format!("A key of {id} exists, and no event tells of it."));
            } else if !is_tombstone {
                self.add("DIFFERS", id, None, format!("A key of {id} is neither its present one nor a retired one."));
            }
        }
        self.checked += rows.len() as u32;
        Ok(match rows.last() {
            Some(last) if rows.len() == limit as usize => Some(Progress::Keys(last.text(0)?.into())),
            _ => None,
        })
    }
}

/// Whether the record of a key that this licence no longer has refuses its holder.
pub(crate) fn is_tombstone(record: &str, id: &str) -> bool {
    License::from_json(record.as_bytes())
        .is_ok_and(|record| record.status == Status::Revoked && record.id.as_str() == id)
}

/// The resource of this id as events show it; `None` if the id is of no kind of resource.
fn find(id: &str) -> Result<Option<Option<Value>>, Problem> {
    let view = if id.is_empty() || id == HEAD {
        return Ok(None);
    } else if LicenseId::parse(id).is_ok() {
        let row = db::query_one(queries::BY_ID, vec![text(id)])?;
        row.map(|row| IssuedLicense::from_row(&row)).transpose()?.map(|issued| issued.view())
    } else if id.starts_with(policies::PREFIX) {
        policies::view_of(id)?
    } else if id.starts_with(tokens::PREFIX) {
        tokens::view_of(id)?
    } else {
        products::view_of(id)?
    };
    Ok(Some(view.map(Value::Object)))
}

/// Whether two states of a resource are the same. A token's last use does not count, and the terms
/// of a licence or policy are compared as this version reads them: an older one may have written
/// them in another way. Personal data is not compared if it was erased from one.
fn is_same(one: Option<&Value>, other: Option<&Value>, is_erased: bool) -> bool {
    one == other
        || one.zip(other).is_some_and(|(one, other)| {
            let [mut one, mut other] = [one, other].map(|state| state.as_object().cloned().unwrap_or_default());
            if is_erased {
                for name in PERSONAL {
                    one.remove(name);
                    other.remove(name);
                }
            }
            normal(one) == normal(other)
        })
}

fn normal(mut state: Map<String, Value>) -> Map<String, Value> {
    state.remove("lastUsedAt");
    // Of the events that tell of a secret only.
    state.remove(CHECK);
    if let Some(terms) = IssuedLicense::normal_record(&state).or_else(|| policies::normal_terms(&state)) {
        state.extend(terms);
    }
    state
}

impl Progress {
    /// The progress as an opaque text.
    fn cursor(&self) -> String {
        let text = match self {
            Self::Chain(number) => format!("c{number}"),
            Self::History(subject, number) => format!("h{number}:{subject}"),
            Self::Rows(table, number) => format!("r{table}:{number}"),
            Self::Keys(hash) => format!("k{hash}"),
        };
        crockford::encode(text.as_bytes())
    }

    fn read(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(crockford::decode(cursor)?).ok()?;
        let (kind, rest) = text.split_at_checked(1)?;
        match kind {
            "c" => Some(Self::Chain(rest.parse().ok()?)),
            "h" => rest
                .split_once(':')
                .and_then(|(number, subject)| Some(Self::History(subject.into(), number.parse().ok()?))),
            "r" => rest
                .split_once(':')
                .and_then(|(table, number)| Some(Self::Rows(table.parse().ok()?, number.parse().ok()?))),
            "k" => Some(Self::Keys(rest.into())),
            _ => None,
        }
    }
}
