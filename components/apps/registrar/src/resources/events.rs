//! The audit: what was changed, by whom, and what it was before. `write::change` alone adds rows.
//! Personal data can be erased from them.
//!
//! Who may not see a resource does not see its events either.

use std::collections::BTreeMap;

use countersign::audit::{self, ERASED};
use countersign::hex;
use countersign::name::Label;
use countersign::role::Role;
use countersign::time::Timestamp;
use countersign::word::UnknownWord;
use countersign_app_common::answer::json as answer;
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::limits::MAX_EXPORT_BYTES;
use crate::resources::audit::HEAD;
use crate::sql::db::{self, Row, Select, integer, moment, optional, text};
use crate::wire::problem::{Problem, corrupt};
use crate::wire::{Response, page};
use crate::write::End;
use crate::write::change::Change;

/// Events that are read at a time: with the largest licence before and after they take some
/// megabytes.
const READ_AT_ONCE: u32 = 20;

/// The first word of actions, and the lowest role that may see these events: that of the route
/// which shows the resource itself, as a test of `service` checks. An action that is not listed
/// here needs the highest role.
pub(crate) const SEEN_BY: [(&str, Role); 5] = [
    ("license", Role::Reader),
    ("product", Role::Reader),
    ("policy", Role::Reader),
    ("token", Role::Admin),
    ("audit", Role::Admin),
];

/// Every action that an event may have.
const ACTIONS: [&str; 29] = [
    "license.created",
    "license.updated",
    "license.suspended",
    "license.resumed",
    "license.revoked",
    "license.renewed",
    "license.begun",
    "license.key-rotated",
    "license.policy-changed",
    "license.domains-changed",
    "license.deleted",
    "license.imported",
    "license.adopted",
    "license.dropped",
    "license.forgotten",
    "license.reconciled",
    "license.seats-released",
    "license.seat-transferred",
    "license.usage-set",
    "product.created",
    "product.updated",
    "product.deleted",
    "policy.created",
    "policy.updated",
    "policy.deleted",
    "token.created",
    "token.revoked",
    "audit.accepted",
    ERASED,
];

/// What [`view`] reads.
macro_rules! columns {
    () => {
        "number, id, at, actor, action, subject, request_id, before, after, previous, hash, commitment, salt, personal, erased"
    };
}

/// Whether an event has personal data: the conditions of the indexes `events_with_personal` and
/// `events_with_old_personal`.
macro_rules! has_personal {
    () => {
        "personal IS NOT NULL"
    };
    (old) => {
        "erased IS NULL AND commitment IS NULL AND substr(action, 1, 8) = 'license.' \
         AND (instr(before, '\"owner\":') OR instr(before, '\"metadata\":{\"') \
         OR instr(after, '\"owner\":') OR instr(after, '\"metadata\":{\"'))"
    };
}
pub(crate) use {columns, has_personal};
/// Actions that do not change what the database has of their subject, but its state: what they tell
/// before and after is not the resource.
pub(crate) const OF_STATE: [&str; 3] = ["license.seats-released", "license.seat-transferred", "license.usage-set"];

/// `GET /api/v1/events`, those of resources that the caller may see, in the order of their numbers,
/// or of their times if only times are asked for. A page ends at its limit, or earlier if it is
/// large. Its `head` is the end of the chain, read before the events: the last page has that event,
/// and perhaps later ones.
pub(crate) fn list(ask: &Ask<'_>) -> Result<Response, Problem> {
    let (limit, cursor) = (ask.query.limit()?, ask.query.cursor()?);
    let subject = ask.query.parse_one("subject", Label::parse)?;
    let actor = ask.query.parse_one("actor", Label::parse)?;
    let known =
        |word: &str| ACTIONS.iter().copied().find(|action| *action == word).ok_or(UnknownWord { allowed: &ACTIONS });
    let action = ask.query.parse_one("action", known)?;
    if let Some(action) = action {
        ask.caller.check_role(role_for(action))?;
    }
    let since = ask.query.parse_one("since", Timestamp::parse_start)?;
    let until = ask.query.parse_one("until", Timestamp::parse_end)?;
    ask.query.finish()?;
    let end = End::read()?;
    // The highest role also sees actions that a newer version wrote.
    let seen = (!ask.caller.has_role(Role::Admin)).then(|| {
        let seen = ACTIONS.into_iter().filter(|action| ask.caller.has_role(role_for(action)));
        json!(seen.collect::<Vec<_>>())
    });
    let page = |after: i64, limit: u32| {
        let mut select = Select::after(columns!(), "events", after);
        let seen = seen.as_ref().map(|seen| text(seen.to_string()));
        select = select.and("+action IN (SELECT value FROM json_each(?))", seen);
        // The index that is likely to have the fewest events of one value.
        let mut is_by_index = false;
        for (column, value) in [
            ("subject = ?", subject.as_ref().map(|subject| text(subject.as_str()))),
            ("actor = ?", actor.as_ref().map(|actor| text(actor.as_str()))),
            ("action = ?", action.map(text)),
        ] {
            let is_given = value.is_some();
            select =
                if is_by_index { select.and(&format!("+{column}"), value) } else { select.by_index(column, value) };
            is_by_index |= is_given;
        }
        select = if is_by_index {
            select.and("+at >= ?", since.map(moment)).and("+at < ?", until.map(moment))
        } else if since.is_some() || until.is_some() {
            select.by_time(since, until)
        } else {
            select
        };
        select.page(limit, |row| {
            let texts = [row.optional_text(7)?, row.optional_text(8)?, row.optional_text(13)?];
            Ok((texts.into_iter().flatten().map(str::len).sum::<usize>(), view(row)?))
        })
    };
    let (mut items, mut bytes, mut after) = (Vec::new(), 0, cursor);
    let next = loop {
        let wanted = READ_AT_ONCE.min(limit - items.len() as u32);
        let (some, next) = page(after, wanted)?;
        // It has looked at as many events as one request may.
        let is_cut = some.len() < wanted as usize;
        for (length, item) in some {
            bytes += length;
            items.push(item);
        }
        match next {
            Some(next) if items.len() < limit as usize && bytes < MAX_EXPORT_BYTES && !is_cut => after = next,
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

/// The first revision of a resource that gets an id of its caller's choice. It goes on from that of
/// a deleted resource with the same id: an `ETag` of that one must not match.
pub(crate) fn next_revision(subject: &str) -> Result<u64, Problem> {
    let last = "
        SELECT json_extract(before, '$.revision') FROM events WHERE subject = ?1 AND after IS NULL
        ORDER BY number DESC LIMIT 1";
    let row = db::query_one(last, vec![text(subject)])?;
    Ok(row.map(|row| row.optional_integer(0)).transpose()?.flatten().map_or(1, |last| last as u64 + 1))
}

fn role_for(action: &str) -> Role {
    let word = action.split('.').next();
    SEEN_BY.iter().find(|(resource, _)| Some(*resource) == word).map_or(Role::Admin, |(_, role)| *role)
}

/// Events of earlier versions among these.
const OLD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM events WHERE number IN (SELECT value FROM json_each(?1)) AND ",
    has_personal!(old)
);
const REWRITE: &str = "UPDATE events SET before = ?2, after = ?3 WHERE number = ?1";
// The chain ends with the event that records the erasure, the last one of its change.
const ERASE: &str = "UPDATE events SET personal = NULL, salt = NULL, erased = (SELECT number FROM chain) \
    WHERE number IN (SELECT value FROM json_each(?1))";

/// Erases the personal data of the events of these numbers, and adds an event that says so, which
/// must be the change's last. The chain still verifies (`countersign::audit`).
pub(crate) fn erase(numbers: &[i64], change: &mut Change) -> Result<(), Problem> {
    if numbers.is_empty() {
        return Ok(());
    }
    let mut rests = BTreeMap::new();
    for some in numbers.chunks(READ_AT_ONCE as usize) {
        for row in db::query(OLD, vec![text(json!(some).to_string())])? {
            let mut event = view(&row)?;
            let [mut before, mut after] = ["before", "after"].map(|name| event[name].take());
            audit::take_personal(row.text(4)?, &mut before, &mut after);
            let [before, after] = [("before", before), ("after", after)].map(|(name, state)| {
                let written = (!state.is_null()).then(|| state.to_string());
                event[name] = state;
                optional(written, text)
            });
            change.run(REWRITE, vec![integer(row.integer(0)?), before, after]);
            let rest = audit::content(&event).ok_or_else(corrupt)?;
            rests.insert(row.integer(0)?, hex::encode(&audit::rest(&rest)));
        }
    }
    change.run(ERASE, vec![text(json!(numbers).to_string())]);
    let entries = numbers.iter().map(|number| match rests.get(number) {
        Some(rest) => json!({ "number": number, "rest": rest }),
        None => json!({ "number": number }),
    });
    let entries = json!({ "events": entries.collect::<Vec<_>>() });
    change.event(ERASED, HEAD, None, Some(entries));
    Ok(())
}

/// The event as the API shows it, and as `audit::content` reads it.
pub(crate) fn view(row: &Row) -> Result<Value, Problem> {
    let [before, after] = states(row, [7, 8, 13])?;
    let mut view = json!({
        "number": row.count(0)?,
        "id": row.text(1)?,
        "at": row.moment(2)?,
        "actor": row.text(3)?,
        "action": row.text(4)?,
        "subject": row.text(5)?,
        "requestId": row.text(6)?,
        "before": before,
        "after": after,
        "previous": hex::encode(&row.hash(9)?),
        "hash": hex::encode(&row.hash(10)?),
    });
    if let Some(commitment) = row.optional_blob(11)? {
        view["personal"] = hex::encode(commitment).into();
    }
    if let Some(salt) = row.optional_blob(12)? {
        view["salt"] = hex::encode(salt).into();
    }
    if let Some(erased) = row.optional_integer(14)? {
        view["erased"] = erased.into();
    }
    Ok(view)
}

/// The states before and after a change, from the columns `before`, `after` and `personal`.
pub(crate) fn states(row: &Row, columns: [usize; 3]) -> Result<[Option<Value>; 2], Problem> {
    let [before, after, personal] = columns;
    let mut personal = row.optional_json(personal)?.unwrap_or_default();
    let state = |column, name: &str, personal: &mut Value| {
        let mut state = row.optional_json(column)?;
        if let (Some(Value::Object(members)), Value::Object(own)) = (&mut state, personal[name].take()) {
            members.extend(own);
        }
        Ok::<_, Problem>(state)
    };
    Ok([state(before, "before", &mut personal)?, state(after, "after", &mut personal)?])
}
