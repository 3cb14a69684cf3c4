//! The audit: what was changed, by whom, and how it was before. Rows are added by `change` alone.

use countersign::audit::to_hex;
use countersign::time::Timestamp;
use serde_json::{Value, json};

use crate::answer;
use crate::ask::Ask;
use crate::bindings::exports::countersign::license::service::Response;
use crate::change::End;
use crate::db::{Row, Select, moment, text};
use crate::page;
use crate::problem::Problem;

/// `GET /api/v1/events`: with the end of the chain as it was before the events were read, so that it is never behind the last page.
pub(crate) fn list(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.caller.check_unscoped()?;
    let (limit, cursor) = (ask.query.limit()?, ask.query.cursor()?);
    let [subject, actor, action] = ["subject", "actor", "action"].map(|name| ask.query.take(name).map(text));
    let [since, until] = ["since", "until"].map(|name| ask.query.parse_one(name, Timestamp::parse));
    let (since, until) = (since?, until?);
    ask.query.finish()?;
    let columns = "SELECT number, id, at, actor, action, subject, request_id, before, after, previous, hash";
    let rows = Select::after(&format!("{columns} FROM events WHERE number > ?"), cursor)
        .and("subject = ?", subject)
        .and("actor = ?", actor)
        .and("action = ?", action)
        .and("at >= ?", since.map(moment))
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
