//! Imports licences that were issued elsewhere, or exported, one a line. An invalid line does not
//! affect the others.

use std::collections::BTreeSet;
use std::str::FromStr;

use countersign::field::FieldError;
use countersign::id::LicenseId;
use countersign::key::{Hint, KeyHash};
use countersign::license::Status;
use countersign::time::Timestamp;
use countersign_app_common::fields::Fields;
use serde_json::{Value, json};

use super::table::{self, Line};
use super::{CSV, NDJSON};
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

/// `POST /api/v1/licenses/import`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let dry_run = ask.query.parse_one("dryRun", |text| bool::from_str(text).map_err(|_| "must be true or false"))?;
    let dry_run = dry_run.unwrap_or_default();
    let first_line = ask.query.parse_one("firstLine", |text| {
        u32::from_str(text).map_err(|_| "must be a whole number of 32 bits, 0 or more")
    })?;
    let first_line = first_line.unwrap_or(1);
    ask.query.finish()?;
    let (media_type, body) = ask.body(&[NDJSON, CSV])?;
    let lines = if media_type == CSV { table::read(body)? } else { read(body) };
    if lines.len() > MAX_BULK_ITEMS as usize {
        let detail = format_args!("The body must have at most {MAX_BULK_ITEMS} lines.");
        return Err(FieldError::new("", detail).into());
    }
    let lines: Vec<_> = lines
        .into_iter()
        .map(|(number, fields)| {
            let entry = fields.map_err(Problem::from).and_then(|fields| Entry::read(ask, fields));
            (u64::from(first_line) + number, entry)
        })
        .collect();
    guesses::watch(ask, || {
        let mut refused = 0;
        let mut build = || {
            let (change, answer) = build(ask, &lines, dry_run)?;
            let errors = answer.body["errors"].as_array().into_iter().flatten();
            refused = errors.filter(|error| error["code"] == UNUSABLE.code).count() as u32;
            Ok((change, answer))
        };
        let answer = if dry_run { build().map(|(_, answer)| answer.into()) } else { change(ask, &mut build) };
        (answer, refused)
    })
}

/// Reads one JSON object a line. Empty lines are skipped.
fn read(body: &[u8]) -> Vec<Line> {
    let lines = (0..).zip(body.split(|byte| *byte == b'\n'));
    lines
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(number, line)| (number, Fields::from_json(line)))
        .collect()
}

/// The change that imports every valid line, and the report on all lines. The report of a dry run
/// leaves out the ids and keys that were generated for it.
fn build(ask: &Ask<'_>, lines: &[(u64, Result<Entry, Problem>)], dry_run: bool) -> Result<(Change, Answer), Problem> {
    let mut taken = TakenNames::read(lines)?;
    let mut change = Change::new();
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (line, entry) in lines {
        let issued = match entry {
            Ok(entry) => entry.issue(ask, &mut taken).map(|(issued, key)| (issued, key, entry.id.is_some())),
            Err(problem) => Err(problem.clone()),
        };
        match issued {
            Ok((issued, key, has_id)) => {
                issued.insert(&mut change, "license.imported");
                let mut result = json!({ "line": line });
                if has_id || !dry_run {
                    result["id"] = json!(issued.record.id);
                }
                if let Some(key) = key.generated.filter(|_| !dry_run) {
                    result["key"] = key.into();
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
        "results": results,
        "errors": errors,
        "dryRun": dry_run,
    });
    // Until `change` has delivered the records, the store has none of them.
    Ok((change, Answer::ok(report, None).with_propagated(false)))
}

impl Entry {
    fn read(ask: &Ask<'_>, mut fields: Fields) -> Result<Self, Problem> {
        let hint: Option<Hint> = fields.parse("hint")?;
        let hash: Option<KeyHash> = fields.parse("keyHash")?;
        let key = match (existing_key(ask, &mut fields)?, hash) {
            (Some(_), Some(_)) => {
                return Err(FieldError::new("keyHash", "and `key` exclude each other; send one of them.").into());
            }
            (Some(key), None) => Some(NewKey { hint: hint.or(key.hint), ..key }),
            (None, hash) => hash.map(|hash| NewKey { hash, hint, generated: None }),
        };
        let generation = fields.integer("generation")?;
        if generation.is_some_and(|generation| !(1..=MAX_IMPORTED_GENERATION).contains(&generation)) {
            let detail = format_args!("must be a whole number from 1 to {MAX_IMPORTED_GENERATION}.");
            return Err(FieldError::new("generation", detail).into());
        }
        let entry = Self {
            draft: Draft::read(&mut fields)?,
            key,
            id: fields.parse("id")?,
            status: fields.parse("status")?,
            issued_at: fields.parse("issuedAt")?,
            created_at: fields.parse("createdAt")?,
            generation,
            renewal_day: renewal_day(&mut fields)?,
        };
        // An export has these, but the imported licence begins its own.
        fields.take("updatedAt");
        fields.take("revision");
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
