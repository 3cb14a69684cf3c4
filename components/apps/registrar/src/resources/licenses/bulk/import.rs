//! Takes in licences that were issued elsewhere, or exported: a line each, of which a bad one changes nothing else.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::limits::MAX_BULK_ITEMS;
use countersign::field::FieldError;
use countersign::id::LicenseId;
use countersign::key::{Hint, KeyHash};
use countersign::license::Status;
use countersign::limits::MAX_COUNTED;
use countersign::time::Timestamp;
use serde_json::{Value, json};

use super::export::{CSV, NDJSON};
use super::table::{self, Line};
use crate::ask::Ask;
use crate::resources::licenses::draft::{Draft, NewKey, brought_key};
use crate::resources::licenses::issued::Issued;
use crate::sql::db::{self, text};
use crate::wire::Response;
use crate::wire::answer;
use crate::wire::answer::Answer;
use crate::wire::fields::Fields;
use crate::wire::problem::Problem;
use crate::write::change::{Change, change};

/// What a line says.
struct Imported {
    draft: Draft,
    /// Drawn if there is none.
    key: Option<NewKey>,
    id: Option<LicenseId>,
    status: Option<Status>,
    issued_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    generation: Option<u64>,
}

/// `POST /api/v1/licenses/import`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let dry_run = ask.query.parse_one("dryRun", bool::from_str)?.unwrap_or_default();
    let first_line = ask.query.parse_one("firstLine", u32::from_str)?.unwrap_or(1);
    ask.query.finish()?;
    let (media_type, body) = ask.body(&[NDJSON, CSV])?;
    let lines = if media_type == CSV { table::read(body)? } else { read(body) };
    if lines.len() > MAX_BULK_ITEMS as usize {
        return Err(FieldError::new("", "The body has more than 500 lines.").into());
    }
    let lines: Vec<_> = lines
        .into_iter()
        .map(|(number, fields)| (u64::from(first_line) + number, fields.and_then(Imported::read)))
        .collect();
    if dry_run {
        return Ok(answer::json(200, &build(ask, &lines, dry_run)?.1));
    }
    change(ask, || {
        let (change, report) = build(ask, &lines, dry_run)?;
        Ok((change, Answer::ok(report, None)))
    })
}

/// Reads one JSON object a line, and nothing of an empty one.
fn read(body: &[u8]) -> Vec<Line> {
    let lines = (0..).zip(body.split(|byte| *byte == b'\n'));
    lines
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(number, line)| (number, Fields::from_json(line)))
        .collect()
}

/// The change that takes in every line that is good, and the report on all. That of a dry run has no id or key that was drawn for it.
fn build(
    ask: &Ask<'_>,
    lines: &[(u64, Result<Imported, FieldError>)],
    dry_run: bool,
) -> Result<(Change, Value), Problem> {
    let mut known = Known::read(lines)?;
    let mut change = Change::new();
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (line, imported) in lines {
        let issued = match imported {
            Ok(imported) => imported.issue(ask, &mut known).map(|(issued, key)| (issued, key, imported.id.is_some())),
            Err(error) => Err(Problem::InvalidRequest(error.clone())),
        };
        match issued {
            Ok((issued, key, has_id)) => {
                issued.insert(&mut change, "license.imported");
                let mut result = json!({ "line": line });
                if has_id || !dry_run {
                    result["id"] = json!(issued.record.id);
                }
                if let Some(key) = key.shown.filter(|_| !dry_run) {
                    result["key"] = key.into();
                }
                results.push(result);
            }
            // That there is no answer is no line's fault.
            Err(problem @ Problem::Unavailable { .. }) => return Err(problem),
            Err(problem) => {
                let (code, detail) = problem.code_and_detail();
                let mut error = json!({ "line": line, "detail": detail, "code": code });
                if let Some(field) = problem.field() {
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
        "propagated": false,
    });
    Ok((change, report))
}

impl Imported {
    fn read(mut fields: Fields) -> Result<Self, FieldError> {
        let hint: Option<Hint> = fields.parse("hint")?;
        let hash: Option<KeyHash> = fields.parse("keyHash")?;
        let key = match (brought_key(&mut fields)?, hash) {
            (Some(_), Some(_)) => return Err(FieldError::new("keyHash", "cannot stand beside `key`.")),
            (Some(key), None) => Some(NewKey { hint: hint.or(key.hint), ..key }),
            (None, hash) => hash.map(|hash| NewKey { hash, hint, shown: None }),
        };
        let generation = fields.integer("generation")?;
        if generation.is_some_and(|generation| !(1..=MAX_COUNTED).contains(&generation)) {
            return Err(FieldError::new("generation", "must be a whole number from 1 on."));
        }
        let imported = Self {
            draft: Draft::read(&mut fields)?,
            key,
            id: fields.parse("id")?,
            status: fields.parse("status")?,
            issued_at: fields.parse("issuedAt")?,
            created_at: fields.parse("createdAt")?,
            generation,
        };
        // An export says these of what was there. Here they begin anew.
        fields.take("updatedAt");
        fields.take("revision");
        fields.finish()?;
        Ok(imported)
    }

    fn issue(&self, ask: &Ask<'_>, known: &mut Known) -> Result<(Issued, NewKey), Problem> {
        let issued_at = self.issued_at.unwrap_or(ask.now);
        let (mut issued, key) = self.draft.issue(ask, self.key.clone(), issued_at)?;
        let record = &mut issued.record;
        record.id = self.id.clone().unwrap_or(record.id.clone());
        record.status = self.status.unwrap_or(record.status);
        record.generation = self.generation.unwrap_or(record.generation);
        issued.created_at = self.created_at.unwrap_or(issued.created_at);
        known.add(&issued)?;
        Ok((issued, key))
    }
}

/// Keys and ids that are, or were, a licence's.
struct Known {
    keys: BTreeSet<String>,
    ids: BTreeSet<String>,
}

impl Known {
    /// Those of these lines.
    fn read(lines: &[(u64, Result<Imported, FieldError>)]) -> Result<Self, Problem> {
        let good = || lines.iter().filter_map(|(_, imported)| imported.as_ref().ok());
        let keys: Vec<_> = good().filter_map(|imported| Some(imported.key.as_ref()?.hash.to_hex())).collect();
        let ids: Vec<_> = good().filter_map(|imported| imported.id.as_ref()).collect();
        let find = |query, given: Value| -> Result<BTreeSet<String>, Problem> {
            let rows = db::query(query, vec![text(given.to_string())])?;
            rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
        };
        Ok(Self {
            keys: find("SELECT hash FROM keys WHERE hash IN (SELECT value FROM json_each(?1))", json!(keys))?,
            ids: find("SELECT license FROM keys WHERE license IN (SELECT value FROM json_each(?1))", json!(ids))?,
        })
    }

    /// Adds those of a licence, if both are new.
    fn add(&mut self, issued: &Issued) -> Result<(), Problem> {
        let (key, id) = (issued.key.to_hex(), issued.record.id.to_string());
        if self.keys.contains(&key) {
            return Err(Problem::KeyTaken);
        }
        if self.ids.contains(&id) {
            return Err(Problem::Conflict("There is or was a licence with this id."));
        }
        self.keys.insert(key);
        self.ids.insert(id);
        Ok(())
    }
}
