//! The audit: what was changed, by whom, and what it was before. `write::change` alone adds rows.

use countersign::hex;
use countersign::name::Label;
use countersign::time::Timestamp;
use countersign::word::UnknownWord;
use countersign_app_common::answer::json as answer;
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::limits::MAX_EXPORT_BYTES;
use crate::sql::db::{Row, Select, moment, text};
use crate::wire::problem::Problem;
use crate::wire::{Response, page};
use crate::write::End;

/// Events that are read at a time: with the largest licence before and after they take some
/// megabytes.
const READ_AT_ONCE: u32 = 20;

/// Every action that an event may have.
const ACTIONS: [&str; 21] = [
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
    "license.adopted",
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

/// `GET /api/v1/events`: a page ends at its limit, or earlier if it is large. Its `head` is the end
/// of the chain, read before the events: the last page has that event, and perhaps later ones.
pub(crate) fn list(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.caller.check_unscoped()?;
    let (limit, cursor) = (ask.query.limit()?, ask.query.cursor()?);
    let subject = ask.query.parse_one("subject", Label::parse)?;
    let actor = ask.query.parse_one("actor", Label::parse)?;
    let known =
        |word: &str| ACTIONS.iter().copied().find(|action| *action == word).ok_or(UnknownWord { allowed: &ACTIONS });
    let action = ask.query.parse_one("action", known)?;
    let since = ask.query.parse_one("since", Timestamp::parse)?;
    let until = ask.query.parse_one("until", Timestamp::parse)?;
    ask.query.finish()?;
    let end = End::read()?;
    let page = |after: i64, limit: u32| {
        let columns = "SELECT number, id, at, actor, action, subject, request_id, before, after, previous, hash";
        Select::after(&format!("{columns} FROM events WHERE number > ?"), after)
            .and("subject = ?", subject.as_ref().map(|subject| text(subject.as_str())))
            .and("actor = ?", actor.as_ref().map(|actor| text(actor.as_str())))
            .and("action = ?", action.map(text))
            // By the index of times, as callers mostly want the last few of many events.
            .and("number IN (SELECT number FROM events WHERE at >= ?)", since.map(moment))
            .and("at < ?", until.map(moment))
            .page(limit, |row| {
                let (before, after) = (row.optional_text(7)?, row.optional_text(8)?);
                Ok((before.map_or(0, str::len) + after.map_or(0, str::len), view(row)?))
            })
    };
    let (mut items, mut bytes, mut after) = (Vec::new(), 0, cursor);
    let next = loop {
        let (some, next) = page(after, READ_AT_ONCE.min(limit - items.len() as u32))?;
        for (length, item) in some {
            bytes += length;
            items.push(item);
        }
        match next {
            Some(next) if items.len() < limit as usize && bytes < MAX_EXPORT_BYTES => after = next,
            next => break next,
        }
    };
    let mut body = json!({ "head": { "number": end.number, "hash": hex::encode(&end.hash) } });
    body["items"] = Value::Array(items);
    if let Some(next) = next {
        body["next"] = page::cursor(next).into();
    }
    Ok(answer(200, &body))
}

/// The event as the API shows it.
fn view(row: &Row) -> Result<Value, Problem> {
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
        "previous": hex::encode(&row.hash(9)?),
        "hash": hex::encode(&row.hash(10)?),
    }))
}
