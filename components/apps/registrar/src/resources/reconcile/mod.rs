//! Compares the database with the store, and repairs the store.
//!
//! Page by page, first every key that was ever given out, then the store's own list, in which there may be keys that the database does
//! not know: those are counted and left alone, or taken in (`adopt`) where that is asked for.

mod adopt;

use crate::limits::{MAX_BULK_ITEMS, MAX_REPAIR_BYTES};
use countersign::crockford;
use countersign::field::FieldError;
use countersign::key::KeyHash;
use countersign::license::{License, Status};
use serde_json::{Value, json};

use self::adopt::Step;
use crate::ask::Ask;
use crate::host::store;
use crate::resources::licenses::issued::Issued;
use crate::resources::licenses::search::queries;
use crate::sql::db::{self, Row, integer, text};
use crate::wire::Response;
use crate::wire::answer::{self, Answer};
use crate::wire::problem::Problem;
use crate::write::change::{Change, change};
use crate::write::outbox;

const ACTION: &str = "license.reconciled";

/// Each key with the record that is to stand under it.
const KEYS: &str = "SELECT keys.hash, COALESCE(keys.retired, licenses.record), keys.retired IS NULL, keys.license \
    FROM keys LEFT JOIN licenses ON licenses.key_hash = keys.hash WHERE keys.hash > ?1 ORDER BY keys.hash LIMIT ?2";
const KNOWN: &str = "SELECT COUNT(*) FROM keys WHERE hash IN (SELECT value FROM json_each(?1))";
const SET_RETIRED: &str = "UPDATE keys SET retired = ?2 WHERE hash = ?1";

/// Keys that are read at a time: with their records they take some megabytes at most.
const READ_AT_ONCE: u32 = 50;

/// How far a reconciliation has come.
#[derive(Clone)]
enum Place {
    /// Keys up to this hash were compared.
    Keys(String),
    /// The store's list, by its own cursor.
    Store(Option<String>),
}

/// `POST /api/v1/reconcile`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.caller.check_unscoped()?;
    let mut fields = ask.optional_fields()?;
    let cursor = fields.text("cursor")?;
    let limit = fields.integer("limit")?.unwrap_or(MAX_BULK_ITEMS.into());
    let dry_run = fields.boolean("dryRun")?.unwrap_or_default();
    let adopts = fields.boolean("adopt")?.unwrap_or_default();
    fields.finish()?;
    if !(1..=u64::from(MAX_BULK_ITEMS)).contains(&limit) {
        return Err(FieldError::new("limit", "must be 1 to 500.").into());
    }
    let place = cursor.map_or(Some(Place::Keys(String::new())), |cursor| Place::read(&cursor));
    let place = place.ok_or_else(|| FieldError::new("cursor", "is none that was given out."))?;
    // What is on its way needs no repair.
    if !dry_run {
        outbox::deliver_pending()?;
    }
    let build = || match &place {
        Place::Keys(after) => compare(after, limit as u32, ask),
        Place::Store(cursor) if adopts => adopt(cursor.as_deref(), limit as u32, ask),
        Place::Store(cursor) => Ok((Change::new(), look(cursor.as_deref(), limit as u32)?)),
    };
    if dry_run {
        ask.query.finish()?;
        return Ok(answer::json(200, &build()?.1));
    }
    change(ask, || build().map(|(change, report)| (change, Answer::ok(report, None))))
}

/// Compares some keys, and has those be delivered again that the store has otherwise. It ends with the limit, or before once there is much
/// to deliver.
fn compare(after: &str, limit: u32, ask: &Ask<'_>) -> Result<(Change, Value), Problem> {
    let mut change = Change::new();
    let (mut after, mut checked, mut repaired, mut bytes) = (after.to_owned(), 0, 0, 0);
    let next = loop {
        let count = READ_AT_ONCE.min(limit - checked);
        let rows = db::query(KEYS, vec![text(&*after), integer(count)])?;
        for row in &rows {
            if repair(row, &mut change, ask)? {
                repaired += 1;
                bytes += row.text(1)?.len();
            }
        }
        checked += rows.len() as u32;
        match rows.last() {
            Some(last) if rows.len() == count as usize => after = last.text(0)?.to_owned(),
            // A store that cannot list its keys cannot be looked through.
            _ => break store::can_list().then_some(Place::Store(None)),
        }
        if checked == limit || bytes > MAX_REPAIR_BYTES {
            break Some(Place::Keys(after));
        }
    };
    let mut report = json!({ "checked": checked, "repaired": repaired });
    if let Some(next) = next {
        report["next"] = next.written().into();
    }
    Ok((change, report))
}

/// Whether what the store has under a key is not what is to stand there. If so it is delivered again, with a generation above that of
/// what the store has. A revocation is final: where the store alone knows of it, as after the database was put back from an old copy, the
/// database learns it.
fn repair(row: &Row, change: &mut Change, ask: &Ask<'_>) -> Result<bool, Problem> {
    let key = KeyHash::parse(row.text(0)?).map_err(|_| Problem::CORRUPT)?;
    let mut due = License::from_json(row.text(1)?.as_bytes()).map_err(|_| Problem::CORRUPT)?;
    let present = store::get(&key.store_key())?.map(|entry| License::from_json(&entry.value));
    let (generation, is_revoked) = match present {
        Some(Ok(present)) if present == due => return Ok(false),
        Some(Ok(present)) => {
            (present.generation, present.generation > due.generation && present.status == Status::Revoked)
        }
        Some(Err(_)) | None => (0, false),
    };
    if generation < due.generation {
        change.deliver(&due.id, &key, &due);
        return Ok(true);
    }
    if row.integer(2)? == 0 {
        due.generation = generation + 1;
        let record = due.to_json();
        change.run(SET_RETIRED, vec![text(key.to_hex()), text(record)]);
        change.deliver(&due.id, &key, &due);
        return Ok(true);
    }
    let row = db::query_one(queries::BY_ID, vec![text(row.text(3)?)])?.ok_or(Problem::CORRUPT)?;
    let before = Issued::from_row(&row)?;
    let mut after = before.clone();
    after.record.generation = generation + 1;
    if is_revoked {
        after.record.status = Status::Revoked;
    }
    after.update(&before, change, ACTION, ask.now);
    Ok(true)
}

/// Looks through some of the store's own list.
fn look(cursor: Option<&str>, limit: u32) -> Result<Value, Problem> {
    let page = store::list(cursor, limit)?;
    let hashes: Vec<_> = page.keys.iter().map(|key| store::hash_of(key)).collect();
    let known = db::query_one(KNOWN, vec![text(json!(hashes).to_string())])?.ok_or(Problem::CORRUPT)?.count(0)?;
    let mut report =
        json!({ "checked": hashes.len(), "repaired": 0, "unknown": (hashes.len() as u64).saturating_sub(known) });
    if let Some(next) = page.next {
        report["next"] = Place::Store(Some(next)).written().into();
    }
    Ok(report)
}

/// Takes in what it finds in some of the store's own list.
fn adopt(cursor: Option<&str>, limit: u32, ask: &Ask<'_>) -> Result<(Change, Value), Problem> {
    let Step { change, mut report, next } = adopt::step(cursor, limit, ask.now)?;
    if let Some(next) = next {
        report["next"] = Place::Store(Some(next)).written().into();
    }
    Ok((change, report))
}

impl Place {
    /// As a caller is given it.
    fn written(&self) -> String {
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
