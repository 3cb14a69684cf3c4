//! The audit: what was changed, by whom, and how it was before. Rows are added by `change` alone.

use countersign::audit::to_hex;
use countersign::name::{Label, UnknownWord};
use countersign::time::Timestamp;
use serde_json::{Value, json};

use crate::answer;
use crate::ask::Ask;
use crate::bindings::exports::countersign::license::service::Response;
use crate::change::End;
use crate::db::{Row, Select, moment, text};
use crate::page;
use crate::problem::Problem;

/// All that events tell of.
const ACTIONS: [&str; 20] = [
    "license.created",
    "license.updated",
    "license.suspended",
    "license.resumed",
    "license.revoked",
    "license.renewed",
    "license.key-rotated",
    "license.policy-changed",
    "license.domains-changed",
    "license.deleted",
    "license.imported",
    "license.reconciled",
    "product.created",
    "product.updated",
    "product.deleted",
    "policy.created",
    "policy.updated",
    "policy.deleted",
    "token.created",
    "token.revoked",
];

/// `GET /api/v1/events`: with the end of the chain as it was before the events were read, so that it is never behind the last page.
pub(crate) fn list(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.caller.check_unscoped()?;
    let (limit, cursor) = (ask.query.limit()?, ask.query.cursor()?);
    let subject = ask.query.parse_one("subject", Label::parse)?;
    let actor = ask.query.parse_one("actor", Label::parse)?;
    let known = |word: &str| ACTIONS.iter().copied().find(|action| *action == word).ok_or(UnknownWord);
    let action = ask.query.parse_one("action", known)?;
    let since = ask.query.parse_one("since", Timestamp::parse)?;
    let until = ask.query.parse_one("until", Timestamp::parse)?;
    ask.query.finish()?;
    let columns = "SELECT number, id, at, actor, action, subject, request_id, before, after, previous, hash";
    let rows = Select::after(&format!("{columns} FROM events WHERE number > ?"), cursor)
        .and("subject = ?", subject.map(|subject| text(subject.as_str())))
        .and("actor = ?", actor.map(|actor| text(actor.as_str())))
        .and("action = ?", action.map(text))
        // By the index of times: what is asked for is mostly at the end of many.
        .and("number IN (SELECT number FROM events WHERE at >= ?)", since.map(moment))
        .and("at < ?", until.map(moment))
        .page(limit)?;
    let (items, next) = page::page(rows, limit, shown)?;
    let end = End::read()?;
    let mut body = json!({ "items": items, "head": { "number": end.number, "hash": to_hex(&end.hash) } });
    if let Some(next) = next {
        body["next"] = next.into();
    }
    Ok(answer::json(200, &body))
}

fn shown(row: &Row) -> Result<Value, Problem> {
    Ok(json!({
        "number": row.count(0)?,
        "id": row.text(1)?,
        "at": row.moment(2)?,
        "actor": row.text(3)?,
        "action": row.text(4)?,
        "subject": row.text(5)?,
        "requestId": row.text(6)?,
        "before": row.optional_json(7)?,
        "after": row.optional_json(8)?,
        "previous": to_hex(&row.hash(9)?),
        "hash": to_hex(&row.hash(10)?),
    }))
}
