//! Suspends and resumes all licences that a filter finds, in portions, with an event for each.

use std::str::FromStr;

use countersign::field::FieldError;
use countersign::license::Status;
use serde_json::json;

use super::search::filter::Filter;
use crate::ask::Ask;
use crate::limits::MAX_PORTION_BYTES;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::Problem;
use crate::write::change::{Change, change};

/// Licences that are read at a time.
const READ_AT_ONCE: u32 = 10;

/// `POST /api/v1/licenses/suspend`
pub(crate) fn suspend(ask: &Ask<'_>) -> Result<Response, Problem> {
    set(ask, Status::Suspended, "license.suspended")
}

/// `POST /api/v1/licenses/resume`
pub(crate) fn resume(ask: &Ask<'_>) -> Result<Response, Problem> {
    set(ask, Status::Active, "license.resumed")
}

/// A portion of a list: it ends at its limit, or earlier if its licences are large. Those that have
/// the status already, and revoked ones, stay as they are.
fn set(ask: &Ask<'_>, status: Status, action: &'static str) -> Result<Response, Problem> {
    let filter = Filter::read(ask)?;
    if filter.finds_everything() {
        return Err(FieldError::new("", "Name the licences by at least one filter, such as `owner`.").into());
    }
    let (begin, limit) = (filter.cursor(ask)?, ask.query.limit()?);
    let dry_run = ask.query.parse_one("dryRun", |text| bool::from_str(text).map_err(|_| "must be true or false"))?;
    let dry_run = dry_run.unwrap_or_default();
    ask.query.finish()?;
    ask.optional_fields()?.finish()?;
    let mut build = || {
        let (mut change, mut changed, mut after) = (Change::new(), Vec::new(), begin.clone());
        let (mut found, mut revoked, mut bytes) = (0, 0, 0);
        let next = loop {
            let page = filter.page(&after, READ_AT_ONCE.min(limit - found))?;
            found += page.items.len() as u32;
            for before in &page.items {
                match before.record.status {
                    Status::Revoked => revoked += 1,
                    now if now == status => {}
                    _ => {
                        let mut after = before.clone();
                        after.record.status = status;
                        bytes += after.record.to_json().len();
                        after.update(before, &mut change, action, ask.now)?;
                        changed.push(after.record.id);
                    }
                }
            }
            match page.next {
                Some(next) if found < limit && bytes < MAX_PORTION_BYTES && !page.is_cut => after = next,
                next => break next,
            }
        };
        let mut report = json!({ "found": found, "changed": changed.len(), "revoked": revoked, "licenses": changed, "dryRun": dry_run });
        if let Some(next) = next {
            report["next"] = next.cursor().into();
        }
        Ok((change, Answer::ok(report, None)))
    };
    if dry_run { build().map(|(_, answer)| answer.into()) } else { change(ask, &mut build) }
}
