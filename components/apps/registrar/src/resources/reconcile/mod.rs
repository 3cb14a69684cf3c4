//! Compares the database with the store, and brings the store up to date.
//!
//! It goes page by page, first through every key that was ever issued (`known`), then through the
//! store's own list, for the keys that the database does not have (`unknown`).
//!
//! A record that the store lacks, or has in an older form, is delivered again. What only the store
//! knows, as after the database was restored from an old copy, is listed; the caller chooses
//! whether it is adopted or dropped.
//!
//! A licence that is not as its events say is not taken for the truth: it is named, and the store
//! keeps what it has.

mod known;
mod unknown;

use countersign::crockford;
use countersign::field::FieldError;
use countersign::id::LicenseId;
use countersign::license::License;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::limits::MAX_BULK_ITEMS;
use crate::wire::Response;
use crate::wire::answer::{self, Answer};
use crate::wire::problem::Problem;
use crate::write::change::{Change, change};
use crate::write::outbox;

const ACTION: &str = "license.reconciled";

/// What the caller asks for.
struct Step<'a> {
    ask: &'a Ask<'a>,
    limit: u32,
    choice: Choice,
    /// The only licence to look at.
    license: Option<LicenseId>,
}

/// What happens to what only the store knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// It is listed.
    Leave,
    /// The database takes it over.
    Adopt,
    /// The store gets what the database has.
    Drop,
}

/// What one step did: its change, its report, and how far it has come.
struct Done {
    change: Change,
    report: Value,
    next: Option<Progress>,
}

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
    let drops = fields.boolean("drop")?.unwrap_or_default();
    let license = fields.parse("license")?;
    fields.finish()?;
    if !(1..=u64::from(MAX_BULK_ITEMS)).contains(&limit) {
        let detail = format_args!("must be a whole number from 1 to {MAX_BULK_ITEMS}.");
        return Err(FieldError::new("limit", detail).into());
    }
    let choice = match (adopts, drops) {
        (false, false) => Choice::Leave,
        (true, false) => Choice::Adopt,
        (false, true) => Choice::Drop,
        (true, true) => return Err(FieldError::new("drop", "and `adopt` exclude each other; send one of them.").into()),
    };
    let progress = cursor.map_or(Some(Progress::Keys(String::new())), |cursor| Progress::read(&cursor));
    let unknown = || FieldError::new("cursor", "must be the `next` of an earlier step.");
    let progress = progress.ok_or_else(unknown)?;
    let step = Step { ask, limit: limit as u32, choice, license };
    // A record that is only late needs no repair.
    if !dry_run {
        outbox::deliver_pending()?;
    }
    let mut build = || {
        let Done { change, mut report, next } = match &progress {
            Progress::Keys(after) => known::step(&step, after)?,
            Progress::Store(cursor) => unknown::step(&step, cursor.as_deref())?,
        };
        if let Some(next) = next {
            report["next"] = next.cursor().into();
        }
        Ok((change, Answer::ok(report, None)))
    };
    if dry_run {
        ask.query.finish()?;
        return Ok(build()?.1.into());
    }
    change(ask, &mut build)
}

/// An entry of the list of what only the store knows.
fn item(id: &LicenseId, found: &str, database: Option<&License>, store: &License) -> Value {
    let mut item = json!({ "id": id, "found": found });
    let (here, there) = (database.map(members), members(store));
    // Only what differs: a record may have a thousand domains.
    let differing = |own: &Map<String, Value>, other: &Map<String, Value>| -> Map<String, Value> {
        let is_other = |name: &String| own.get(name) != other.get(name);
        own.iter().filter(|(name, _)| is_other(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    match here {
        Some(here) => {
            item["database"] = Value::Object(differing(&here, &there));
            item["store"] = Value::Object(differing(&there, &here));
        }
        None => item["store"] = Value::Object(there),
    }
    item
}

/// The members that the API shows of a record.
fn members(record: &License) -> Map<String, Value> {
    let mut members = answer::object(record);
    members.remove("format");
    members.remove("id");
    members
}

/// Whether the record is one that a deleted licence, or a key that was replaced, leaves behind. A
/// revoked licence without terms looks the same.
fn is_tombstone(record: &License) -> bool {
    *record == record.retired()
}

impl Step<'_> {
    fn is_about(&self, id: &LicenseId) -> bool {
        self.license.as_ref().is_none_or(|license| license == id)
    }
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
