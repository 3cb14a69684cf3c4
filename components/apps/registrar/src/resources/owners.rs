//! Owners: whom licences belong to, in the vendor's own words. A vendor can forget one.

use std::collections::{BTreeMap, BTreeSet};

use countersign::field::FieldError;
use countersign::id::LicenseId;
use serde_json::{Value, json};

use super::events::{self, has_personal};
use super::licenses::draft;
use super::licenses::issued::IssuedLicense;
use super::licenses::search::queries;
use super::licenses::search::terms::fold;
use crate::ask::Ask;
use crate::limits::MAX_BULK_ITEMS;
use crate::sql::db::{self, integer, text};
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{Problem, corrupt, missing};
use crate::write::change::{Change, change};
use crate::write::idempotency;

const FORGOTTEN: &str = "license.forgotten";
const DELETED: &str = "license.deleted";

/// Licences that one step looks at: those that have events, whether they are deleted or not.
const SUBJECTS: &str =
    "SELECT DISTINCT subject FROM events WHERE subject > ?1 AND subject < 'lic_~' ORDER BY subject LIMIT ?2";

/// The events of these licences that have personal data, with the owner before and after.
const EVENTS: &str = concat!(
    "SELECT subject, number, ",
    "CASE WHEN personal IS NOT NULL THEN json_extract(personal, '$.before.owner') ELSE json_extract(before, '$.owner') END, ",
    "CASE WHEN personal IS NOT NULL THEN json_extract(personal, '$.after.owner') ELSE json_extract(after, '$.owner') END ",
    "FROM events WHERE subject IN (SELECT value FROM json_each(?1)) AND (",
    has_personal!(),
    " OR ",
    has_personal!(old),
    ") ORDER BY number"
);
const OWNERS: &str = "SELECT id, owner FROM licenses \
    WHERE id IN (SELECT value FROM json_each(?1)) AND (owner IS NOT NULL OR metadata <> '{}')";

/// An event with personal data.
struct Event {
    number: i64,
    is_owners: bool,
}

/// `POST /api/v1/owners/forget`: removes an owner's personal data from licences, events and stored
/// answers, step by step. The licences go on working, unless they are to be deleted.
pub(crate) fn forget(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let owner = draft::owner(&mut fields)?.ok_or_else(|| missing("owner"))?;
    let deletes = fields.boolean("delete")?.unwrap_or_default();
    let dry_run = fields.boolean("dryRun")?.unwrap_or_default();
    let limit = fields.integer("limit")?.unwrap_or(MAX_BULK_ITEMS.into());
    let cursor: Option<LicenseId> = fields.parse("cursor")?;
    fields.finish()?;
    if !(1..=u64::from(MAX_BULK_ITEMS)).contains(&limit) {
        let detail = format_args!("must be a whole number from 1 to {MAX_BULK_ITEMS}.");
        return Err(FieldError::new("limit", detail).into());
    }
    let after = cursor.as_ref().map_or(LicenseId::PREFIX, LicenseId::as_str);
    let mut build = || {
        let (change, report) = step(ask, &fold(&owner), deletes, after, limit)?;
        Ok((change, Answer::ok(report, None)))
    };
    if dry_run {
        ask.query.finish()?;
        return Ok(build()?.1.into());
    }
    change(ask, &mut build)
}

fn step(ask: &Ask<'_>, owner: &str, deletes: bool, after: &str, limit: u64) -> Result<(Change, Value), Problem> {
    let rows = db::query(SUBJECTS, vec![text(after), integer(limit)])?;
    let ids: Vec<_> = rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    let given = text(json!(ids).to_string());

    let mut events: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for row in db::query(EVENTS, vec![given.clone()])? {
        let is_owner = |name: Option<&str>| name.is_some_and(|name| fold(name) == owner);
        let is_owners = is_owner(row.optional_text(2)?) || is_owner(row.optional_text(3)?);
        events.entry(row.text(0)?.into()).or_default().push(Event { number: row.integer(1)?, is_owners });
    }
    // Whose each licence is, if it has personal data now.
    let mut owners = BTreeMap::new();
    for row in db::query(OWNERS, vec![given])? {
        owners.insert(row.text(0)?.to_owned(), row.optional_text(1)?.map(fold));
    }

    let mut change = Change::new();
    let (mut licenses, mut numbers, mut about) = (0, BTreeSet::new(), Vec::new());
    for id in &ids {
        let of_license = events.remove(*id).unwrap_or_default();
        let is_theirs = match owners.get(*id) {
            Some(Some(name)) => name == owner,
            // Without an owner now: what its events have is the former owner's.
            Some(None) | None => of_license.iter().any(|event| event.is_owners),
        };
        let erased: Vec<_> = of_license.iter().filter(|event| is_theirs || event.is_owners).collect();
        if is_theirs || !erased.is_empty() {
            about.push((*id).to_owned());
        }
        numbers.extend(erased.into_iter().map(|event| event.number));
        if is_theirs && owners.contains_key(*id) {
            licenses += 1;
            let row = db::query_one(queries::BY_ID, vec![text(*id)])?.ok_or_else(corrupt)?;
            let issued = IssuedLicense::from_row(&row)?;
            if deletes {
                issued.without_personal_data().delete(&mut change, DELETED)?;
            } else {
                issued.forget_owner(&mut change, FORGOTTEN, ask.now);
            }
        }
    }
    let numbers: Vec<_> = numbers.into_iter().collect();
    events::erase(&numbers, &mut change)?;
    let answers = if about.is_empty() { 0 } else { idempotency::erase(&about, &mut change)? };
    let mut report = json!({ "licenses": licenses, "events": numbers.len(), "answers": answers });
    if let Some(last) = ids.last().filter(|_| ids.len() as u64 == limit) {
        report["next"] = (*last).into();
    }
    Ok((change, report))
}
