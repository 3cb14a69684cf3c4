//! Imports licences that were issued elsewhere, or exported, one a line. An invalid line does not
//! affect the others.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use countersign::field::FieldError;
use countersign::id::LicenseId;
use countersign::key::{Hint, KeyHash};
use countersign::license::Status;
use countersign::time::{Start, Timestamp};
use countersign_app_common::fields::Fields;
use countersign_bulk::lines::OpenError;
use countersign_bulk::{Content, FileError, Format, Lines, csv};
use serde_json::{Map, Value, json};

use super::columns::{self, STATE};
use super::{CSV, NDJSON, table};
use crate::ask::Ask;
use crate::auth::guesses;
use crate::limits::{MAX_BULK_ITEMS, MAX_IMPORTED_GENERATION};
use crate::resources::licenses::draft::{Draft, NewKey, Origin, existing_key};
use crate::resources::licenses::issued::IssuedLicense;
use crate::sql::db::{self, text};
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{KEY_TAKEN, Problem, UNUSABLE, conflict};
use crate::write::change::{Change, change};

/// The line has no key, and the request generates none.
const KEY_REQUIRED: Problem =
    Problem::new(422, "KEY_REQUIRED", "`key` or `keyHash` is required, as this request generates no keys.");

/// A well-formed line.
struct Entry {
    draft: Draft,
    /// Generated if absent.
    key: Option<NewKey>,
    id: Option<LicenseId>,
    status: Option<Status>,
    issued_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    generation: Option<u64>,
    renewal_day: Option<u8>,
}

/// The lines of a body that are not blank, each with its number.
struct Body {
    lines: Vec<(u64, Result<Entry, Problem>)>,
    blank: u64,
}

/// What a request asks for besides its lines.
#[derive(Clone, Copy)]
struct Mode {
    dry_run: bool,
    /// Whether a line without a key gets a generated one.
    generates_keys: bool,
    /// Whether keys may be easy to guess.
    allows_weak_keys: bool,
}

/// `POST /api/v1/licenses/import`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mode = Mode {
        dry_run: ask.query.flag("dryRun")?,
        generates_keys: !ask.query.flag("requireKeys")?,
        allows_weak_keys: ask.query.flag("allowWeakKeys")?,
    };
    let first_line = ask.query.parse_one("firstLine", |text| {
        u32::from_str(text).map_err(|_| "must be a whole number of 32 bits, 0 or more")
    })?;
    let first_line = first_line.unwrap_or(1);
    ask.query.finish()?;
    let (media_type, body) = ask.body(&[NDJSON, CSV])?;
    let format = if media_type == CSV { Format::Csv } else { Format::Ndjson };
    let body = Body::read(ask, body, format, first_line.into(), mode)?;
    guesses::watch(ask, || {
        let mut refused = 0;
        let mut build = || {
            let (change, answer) = build(ask, &body, mode)?;
            let errors = answer.body["errors"].as_array().into_iter().flatten();
            refused = errors.filter(|error| error["code"] == UNUSABLE.code).count() as u32;
            Ok((change, answer))
        };
        let answer = if mode.dry_run { build().map(|(_, answer)| answer.into()) } else { change(ask, &mut build) };
        (answer, refused)
    })
}

impl Body {
    fn read(ask: &Ask<'_>, body: &[u8], format: Format, first_line: u64, mode: Mode) -> Result<Self, FieldError> {
        let number = |number: u64| (first_line + number).saturating_sub(1);
        let mut lines = Lines::open(body, Some(format)).map_err(|error| match error {
            OpenError::File(FileError::Header(line, error)) => refuse(FileError::Header(number(line), error)),
            error => refuse(error),
        })?;
        let columns = columns::read(&lines.head().columns, number(lines.head().line))?;
        let delimiter = lines.head().delimiter;
        let mut read = Self { lines: Vec::new(), blank: lines.head().blank };
        for line in &mut lines {
            let line = line.map_err(refuse)?;
            let fields = match line.content {
                Ok(Content::Blank) => {
                    read.blank += 1;
                    continue;
                }
                Ok(Content::Record(text)) => match format {
                    Format::Ndjson => Fields::from_json(text.as_bytes()).and_then(named),
                    Format::Csv => {
                        let cells = csv::cells(&text, delimiter).map_err(refuse);
                        cells.and_then(|cells| table::fields(&columns, &cells))
                    }
                },
                Err(error) => Err(refuse(error)),
            };
            if read.lines.len() == MAX_BULK_ITEMS as usize {
                return Err(refuse(format_args!("The body must have at most {MAX_BULK_ITEMS} lines.")));
            }
            let entry =
                fields.map_err(Problem::from).and_then(|fields| Entry::read(ask, fields, mode.allows_weak_keys));
            read.lines.push((number(line.number), entry));
        }
        Ok(read)
    }
}

fn refuse(detail: impl Display) -> FieldError {
    FieldError::new("", detail)
}

/// The fields of a JSON object under their own names, which are those of the columns of CSV.
fn named(fields: Fields) -> Result<Fields, FieldError> {
    let mut named = Map::new();
    for (name, value) in fields.into_members() {
        let known = columns::find(&name).filter(|known| !known.contains('.'));
        let known = known.map_or(name, Cow::into_owned);
        if named.contains_key(&known) {
            return Err(FieldError::new(&known, "is there twice, under different names."));
        }
        named.insert(known, value);
    }
    Ok(Fields::new(named))
}

/// The change that imports every valid line, and the report on all lines. The report of a dry run
/// leaves out the ids and keys that were generated for it.
fn build(ask: &Ask<'_>, Body { lines, blank }: &Body, mode: Mode) -> Result<(Change, Answer), Problem> {
    let Mode { dry_run, generates_keys, .. } = mode;
    let mut taken = TakenNames::read(lines)?;
    let mut change = Change::new();
    let (mut results, mut errors, mut weak_keys) = (Vec::new(), Vec::new(), 0);
    for (line, entry) in lines {
        let issued = match entry {
            Ok(entry) if entry.key.is_none() && !generates_keys => Err(KEY_REQUIRED),
            Ok(entry) => entry.issue(ask, &mut taken).map(|(issued, key)| (issued, key, entry.id.is_some())),
            Err(problem) => Err(problem.clone()),
        };
        match issued {
            Ok((issued, key, has_id)) => {
                issued.insert(&mut change, "license.imported");
                weak_keys += u32::from(issued.weak_key);
                let mut result = json!({ "line": line });
                if has_id || !dry_run {
                    result["id"] = json!(issued.record.id);
                }
                match key.generated {
                    None if dry_run => result["keyHash"] = key.hash.to_hex().into(),
                    Some(key) if !dry_run => result["key"] = key.into(),
                    _ => {}
                }
                results.push(result);
            }
            // Without an answer of the database, the lines cannot be judged.
            Err(problem) if problem.reason.is_some() => return Err(problem),
            Err(problem) => {
                let mut error = json!({ "line": line, "detail": problem.detail, "code": problem.code });
                if let Some(field) = problem.field {
                    error["field"] = field.into();
                }
                errors.push(error);
            }
        }
    }
    let report = json!({
        "imported": results.len(),
        "failed": errors.len(),
        "blank": blank,
        "weakKeys": weak_keys,
        "results": results,
        "errors": errors,
        "dryRun": dry_run,
    });
    // Until `change` has delivered the records, the store has none of them.
    Ok((change, Answer::ok(report, None).with_propagated(false)))
}

impl Entry {
    fn read(ask: &Ask<'_>, mut fields: Fields, allows_weak: bool) -> Result<Self, Problem> {
        let hint: Option<Hint> = fields.parse("hint")?;
        let hash: Option<KeyHash> = fields.parse("keyHash")?;
        // Of a hash only an export can say so.
        let is_weak = fields.boolean("weakKey")?.unwrap_or_default();
        let existing_key = existing_key(ask, &mut fields, allows_weak);
        if hash.is_some() && !matches!(existing_key, Ok(None)) {
            return Err(FieldError::new("keyHash", "and `key` exclude each other; send one of them.").into());
        }
        let key = match existing_key? {
            Some(key) => Some(NewKey { hint: hint.or(key.hint), ..key }),
            None => hash.map(|hash| NewKey { hash, hint, generated: None, is_weak }),
        };
        if let Some(key) = &key {
            key.check_strength(ask, allows_weak)?;
        }
        let generation = fields.integer("generation")?;
        if generation.is_some_and(|generation| !(1..=MAX_IMPORTED_GENERATION).contains(&generation)) {
            let detail = format_args!("must be a whole number from 1 to {MAX_IMPORTED_GENERATION}.");
            return Err(FieldError::new("generation", detail).into());
        }
        let entry = Self {
            draft: Draft::read(&mut fields)?,
            key,
            id: fields.parse("id")?,
            status: status(&mut fields)?,
            issued_at: fields.parse("issuedAt")?.map(|Start(at)| at),
            created_at: fields.parse("createdAt")?.map(|Start(at)| at),
            generation,
            renewal_day: renewal_day(&mut fields)?,
        };
        // An export has these, but the imported licence begins its own.
        for name in ["updatedAt", "revision"] {
            fields.take(name);
        }
        if fields.take_some(STATE).is_some_and(|state| !state.is_object()) {
            let detail =
                "must be an object, as an export has it; leave it out, or name it `status` or `metadata.state`.";
            return Err(FieldError::new(STATE, detail).into());
        }
        fields.finish()?;
        Ok(entry)
    }

    fn issue(&self, ask: &Ask<'_>, taken: &mut TakenNames) -> Result<(IssuedLicense, NewKey), Problem> {
        let issued_at = self.issued_at.unwrap_or(ask.now);
        // Only exports have a generation.
        let origin = if self.generation.is_some() { Origin::Export } else { Origin::New };
        let (mut issued, key) = self.draft.issue(ask, self.key.clone(), issued_at, origin)?;
        let record = &mut issued.record;
        record.id = self.id.clone().unwrap_or(record.id.clone());
        record.status = self.status.unwrap_or(record.status);
        record.generation = self.generation.unwrap_or(record.generation);
        record.renewal_day = self.renewal_day.or(record.renewal_day);
        issued.created_at = self.created_at.unwrap_or(issued.created_at);
        taken.add(&issued).map_err(|problem| guesses::refuse(ask, problem))?;
        Ok((issued, key))
    }
}

/// A licence's status, in upper or lower case.
fn status(fields: &mut Fields) -> Result<Option<Status>, FieldError> {
    let status = fields.text("status")?.map(|text| text.to_ascii_lowercase().parse()).transpose();
    status.map_err(|error| fields.error("status", format_args!("{error}.")))
}

/// `renewalDay`, as an export has it.
fn renewal_day(fields: &mut Fields) -> Result<Option<u8>, FieldError> {
    match fields.integer("renewalDay")?.map(u8::try_from) {
        None => Ok(None),
        Some(Ok(day @ 1..=31)) => Ok(Some(day)),
        Some(_) => Err(FieldError::new("renewalDay", "must be a day of the month, from 1 to 31.")),
    }
}

/// Keys and ids that a licence has or had.
struct TakenNames {
    keys: BTreeSet<String>,
    ids: BTreeSet<String>,
}

impl TakenNames {
    /// Those among the lines' keys and ids that are taken.
    fn read(lines: &[(u64, Result<Entry, Problem>)]) -> Result<Self, Problem> {
        let valid = || lines.iter().filter_map(|(_, entry)| entry.as_ref().ok());
        let keys: Vec<_> = valid().filter_map(|entry| Some(entry.key.as_ref()?.hash.to_hex())).collect();
        let ids: Vec<_> = valid().filter_map(|entry| entry.id.as_ref()).collect();
        let find = |query, given: Value| -> Result<BTreeSet<String>, Problem> {
            let rows = db::query(query, vec![text(given.to_string())])?;
            rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
        };
        Ok(Self {
            keys: find("SELECT hash FROM keys WHERE hash IN (SELECT value FROM json_each(?1))", json!(keys))?,
            ids: find("SELECT license FROM keys WHERE license IN (SELECT value FROM json_each(?1))", json!(ids))?,
        })
    }

    /// Adds a licence's key and id, if both are free.
    fn add(&mut self, issued: &IssuedLicense) -> Result<(), Problem> {
        let (key, id) = (issued.key.to_hex(), issued.record.id.to_string());
        if self.keys.contains(&key) {
            return Err(KEY_TAKEN);
        }
        if self.ids.contains(&id) {
            return Err(conflict("Another licence has or had this id; ids are never reused."));
        }
        self.keys.insert(key);
        self.ids.insert(id);
        Ok(())
    }
}
