//! Learns when licences began whose time begins with their first use. The validator writes that
//! into the state of a licence, and the database copies it from there. So lists, filters and
//! statistics know the end that follows.
//!
//! The native host asks about each licence that began, as its journal says, and every hour about
//! all that have not begun as far as is known. On other hosts somebody has to ask.

use countersign::field::FieldError;
use countersign::id::LicenseId;
use serde_json::json;

use super::issued::IssuedLicense;
use super::search::queries;
use crate::ask::Ask;
use crate::host::store;
use crate::limits::{MAX_BULK_ITEMS, MAX_PORTION_BYTES};
use crate::sql::db::{self, integer, text};
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{CORRUPT_STATE, Problem};
use crate::write::change::{Change, change};

const ACTION: &str = "license.begun";

/// Licences that are read at a time: the largest take some megabytes together.
const READ_AT_ONCE: u32 = 25;

/// `POST /api/v1/licenses/beginnings`: one portion of the licences that are named, or of those that
/// have not begun as far as is known. The answer's `next` leads to the next portion.
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.optional_fields()?;
    let named: Option<Vec<LicenseId>> = fields.parse_all("licenses")?;
    let cursor: Option<LicenseId> = fields.parse("cursor")?;
    fields.finish()?;
    if named.as_ref().is_some_and(|named| named.len() > MAX_BULK_ITEMS as usize) {
        return Err(FieldError::new("licenses", format_args!("must have at most {MAX_BULK_ITEMS} entries.")).into());
    }
    change(ask, &mut || portion(ask, named.as_deref(), cursor.as_ref()))
}

fn portion(
    ask: &Ask<'_>,
    named: Option<&[LicenseId]>,
    cursor: Option<&LicenseId>,
) -> Result<(Change, Answer), Problem> {
    let mut change = Change::new();
    let mut after = cursor.map_or("", LicenseId::as_str).to_owned();
    let (mut checked, mut begun, mut bytes) = (0, 0, 0);
    let is_cut = loop {
        let window = [text(&*after), integer(READ_AT_ONCE)];
        let rows = match named {
            Some(ids) => {
                db::query(queries::OF_IDS, window.into_iter().chain([text(json!(ids).to_string())]).collect())?
            }
            None => db::query(queries::TO_BEGIN, window.into())?,
        };
        for row in &rows {
            let before = IssuedLicense::from_row(row)?;
            after = before.record.id.to_string();
            checked += 1;
            // One that cannot be read must not hide the others.
            let begun_at = match store::state(&before.record.id) {
                Ok(state) => state.begun_at,
                Err(problem) if problem.reason == Some(CORRUPT_STATE) => continue,
                Err(problem) => return Err(problem),
            };
            if begun_at.is_none() || begun_at == before.begun_at {
                continue;
            }
            let mut known = IssuedLicense { begun_at, ..before.clone() };
            known.update(&before, &mut change, ACTION, ask.now)?;
            bytes += known.record.to_json().len();
            begun += 1;
        }
        if rows.len() < READ_AT_ONCE as usize {
            break false;
        }
        if checked >= MAX_BULK_ITEMS || bytes > MAX_PORTION_BYTES {
            break true;
        }
    };
    let mut answer = json!({ "checked": checked, "begun": begun });
    if is_cut {
        answer["next"] = after.into();
    }
    Ok((change, Answer::ok(answer, None)))
}
