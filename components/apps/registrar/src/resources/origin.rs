//! What an edge may do: read single entries by their keys, write the state of licences under a
//! condition, and follow the changes of licences. It cannot list licences, nor change their terms.
//!
//! Terms come from the database, which has the truth also while the store does not answer; state
//! comes from the store. An edge whose token is bound to products learns nothing of others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign::crockford;
use countersign::field::FieldError;
use countersign::license::License;
use countersign::limits::MAX_VALUE_BYTES;
use countersign::seam::is_store_key;
use countersign::state::{Memory, State};
use countersign::store_keys::{LICENSE, OPERATION, STATE};
use countersign_app_common::answer::json as answer;
use countersign_app_common::store::{self, CompareAndSwap, Expectation, Outcome};
use serde_json::{Value, json};

use super::edges;
use crate::ask::Ask;
use crate::host;
use crate::limits::{CHANGES_PAGE, MAX_CHANGES_BYTES, MAX_ENTRIES};
use crate::sql::db::{self, integer, text};
use crate::wire::Response;
use crate::wire::problem::{NOT_FOUND, Problem, corrupt, missing, unprocessable};
use crate::write::End;

/// The record under a key: that of the licence that has it, or the one that it keeps as retired.
const RECORD: &str = "
    SELECT coalesce(keys.retired, licenses.record) FROM keys
    LEFT JOIN licenses ON licenses.key_hash = keys.hash WHERE keys.hash = ?1";

const PRODUCT: &str = "SELECT product FROM licenses WHERE id = ?1";

/// The records under all keys of the licences that the events between two numbers are about, each
/// with the number of the last one.
const CHANGED: &str = "
    SELECT max(events.number), keys.hash, coalesce(keys.retired, licenses.record)
    FROM events JOIN keys ON keys.license = events.subject LEFT JOIN licenses ON licenses.key_hash = keys.hash
    WHERE events.number > ?1 AND events.number <= ?2
    GROUP BY keys.hash ORDER BY max(events.number)";

const HASH: &str = "SELECT hash FROM events WHERE number = ?1";

/// `POST /api/v1/origin/get`: the entries of some keys, without those that do not exist.
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    let mut fields = ask.fields()?;
    let keys = fields.texts("keys")?.ok_or_else(|| missing("keys"))?;
    fields.finish()?;
    if !(1..=MAX_ENTRIES).contains(&keys.len()) {
        return Err(FieldError::new("keys", format_args!("must be 1 to {MAX_ENTRIES} keys.")).into());
    }
    let mut entries = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        let entry = match key.strip_prefix(LICENSE).filter(|_| is_store_key(key)) {
            Some(hash) => record(ask, hash)?,
            None => {
                let license = license_of(key).ok_or_else(|| not_an_edges(&format!("keys[{at}]")))?;
                match is_visible(ask, license)? {
                    true => host::store::get(key)?.map(|entry| (entry.value, entry.version)),
                    false => None,
                }
            }
        };
        entries.extend(entry.map(|(value, version)| written(key, &value, version)));
    }
    Ok(answer(200, &json!({ "store": capabilities(), "entries": entries })))
}

/// `POST /api/v1/origin/put`: writes state under a condition, as `store.put` does.
pub(crate) fn put(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    let mut fields = ask.fields()?;
    let key = fields.text("key")?.ok_or_else(|| missing("key"))?;
    let value = fields.text("value")?.ok_or_else(|| missing("value"))?;
    let expected = fields.text("expectedVersion")?;
    let ttl = fields.integer_within("ttlSeconds", 1..=u64::from(u32::MAX))?;
    fields.finish()?;
    let license = license_of(&key).ok_or_else(|| not_an_edges("key"))?;
    let value = STANDARD.decode(value).ok().filter(|value| value.len() <= MAX_VALUE_BYTES);
    let value = value.ok_or_else(|| FieldError::new("value", "must be at most 65,536 bytes in base64."))?;
    let expected = expected.map(|digits| digits.parse().map(Expectation::Matches)).transpose();
    let expected =
        expected.map_err(|_| FieldError::new("expectedVersion", "must be a version that `get` returned."))?;
    // Nobody but validators of this origin's licences reads it, and they would fail.
    let is_readable =
        if key.starts_with(STATE) { State::from_bytes(&value).is_ok() } else { Memory::from_bytes(&value).is_ok() };
    if !is_readable {
        return Err(unprocessable("value", "is not what a validator writes under this key."));
    }
    if !is_visible(ask, license)? {
        return Err(NOT_FOUND);
    }
    let outcome = store::put(&key, &value, expected.unwrap_or(Expectation::Absent), ttl.map(|ttl| ttl as u32));
    let outcome = match outcome.map_err(host::store::problem)? {
        Outcome::Stored(version) => json!({ "store": capabilities(), "stored": version.map(|it| it.to_string()) }),
        Outcome::Conflict(present) => {
            let present = present.map(|entry| written(&key, &entry.value, entry.version));
            json!({ "store": capabilities(), "conflict": present })
        }
    };
    Ok(answer(200, &outcome))
}

/// `GET /api/v1/origin/changes`: the records of the licences that were changed since the events of
/// an earlier answer, and where to go on. Without a cursor it begins with the first event, so an
/// edge that goes on until there is no more has all licences.
pub(crate) fn changes(ask: &Ask<'_>) -> Result<Response, Problem> {
    let after =
        ask.query.parse_one("cursor", |text| read_cursor(text).ok_or("must be the `next` of an earlier answer"))?;
    ask.query.finish()?;
    let after = after.unwrap_or((0, End::BEGINNING.hash[..8].to_vec()));
    let end = End::read()?;
    if hash_of(after.0, end)?.is_none_or(|hash| hash[..8] != after.1) {
        return Err(Problem::new(
            410,
            "CURSOR_UNKNOWN",
            "The origin has other events than it had: begin again, without a cursor.",
        ));
    }
    let after = after.0;
    edges::note(&ask.caller.id, after, ask.now);
    let mut up_to = end.number.min(after + u64::from(CHANGES_PAGE));
    let mut items = Vec::new();
    let mut bytes = 0;
    for row in db::query(CHANGED, vec![integer(after), integer(up_to)])? {
        let (number, record) = (row.count(0)?, row.text(2)?.as_bytes());
        if bytes > MAX_CHANGES_BYTES && items.last().is_some_and(|(last, _)| *last < number) {
            up_to = number - 1;
            break;
        }
        let license = License::from_json(record).map_err(|_| corrupt())?;
        if ask.caller.has_product(license.product.as_str()) {
            bytes += record.len();
            items.push((number, written(&(LICENSE.to_owned() + row.text(1)?), record, license.generation)));
        }
    }
    let next = cursor(up_to, &hash_of(up_to, end)?.ok_or_else(corrupt)?);
    let items: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
    Ok(answer(200, &json!({ "items": items, "next": next, "more": up_to < end.number })))
}

/// The record under a key's hash, and its generation, which is its version for edges: they do not
/// write it.
fn record(ask: &Ask<'_>, hash: &str) -> Result<Option<(Vec<u8>, u64)>, Problem> {
    let Some(row) = db::query_one(RECORD, vec![text(hash)])? else { return Ok(None) };
    let record = row.text(0)?.as_bytes();
    let license = License::from_json(record).map_err(|_| corrupt())?;
    Ok(ask.caller.has_product(license.product.as_str()).then(|| (record.to_vec(), license.generation)))
}

/// The licence that an entry of state is about. `None` for another key.
fn license_of(key: &str) -> Option<&str> {
    let id = match key.strip_prefix(STATE) {
        Some(id) => id,
        None => key.strip_prefix(OPERATION)?.split(':').next()?,
    };
    Some(id).filter(|_| is_store_key(key))
}

/// Whether the licence exists, and is of a product that the edge serves.
fn is_visible(ask: &Ask<'_>, license: &str) -> Result<bool, Problem> {
    let Some(row) = db::query_one(PRODUCT, vec![text(license)])? else { return Ok(false) };
    Ok(ask.caller.has_product(row.text(0)?))
}

fn not_an_edges(field: &str) -> FieldError {
    FieldError::new(field, "must be a key under which validators read or write.")
}

/// What the store promises, for the edge's own description of itself.
fn capabilities() -> Value {
    let store = store::describe();
    json!({
        "name": store.name,
        "atomic": store.compare_and_swap == CompareAndSwap::Atomic,
        "ttl": store.ttl,
        "stalenessSeconds": store.staleness_seconds,
    })
}

/// An entry in JSON. A version has all 64 bits, which a number of JSON has not.
fn written(key: &str, value: &[u8], version: u64) -> Value {
    json!({ "key": key, "value": STANDARD.encode(value), "version": version.to_string() })
}

/// The hash of the chain at an event, if it has that event.
fn hash_of(number: u64, end: End) -> Result<Option<Vec<u8>>, Problem> {
    match number {
        0 => Ok(Some(End::BEGINNING.hash.to_vec())),
        number if number == end.number => Ok(Some(end.hash.to_vec())),
        number => Ok(db::query_one(HASH, vec![integer(number)])?.map(|row| row.hash(0)).transpose()?.map(Vec::from)),
    }
}

/// The cursor after the event of this number. It has a part of the chain's hash there, so that it
/// is known no more once the origin has another history.
fn cursor(number: u64, hash: &[u8]) -> String {
    crockford::encode(&[&number.to_be_bytes(), &hash[..8]].concat())
}

fn read_cursor(text: &str) -> Option<(u64, Vec<u8>)> {
    let bytes = crockford::decode(text)?;
    let (number, hash) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), hash.to_vec())).filter(|(_, hash)| hash.len() == 8)
}
