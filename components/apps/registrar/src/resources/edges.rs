//! The edges of this origin: valid tokens of the role `edge`, and how far each has followed the
//! changes of licences.

use countersign::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::limits::TOKEN_USE_SECONDS;
use crate::sql::db::{self, Row, Select, integer, moment, text};
use crate::wire::Response;
use crate::wire::page;
use crate::wire::problem::Problem;
use crate::write::End;

const COLUMNS: &str = "number, id, name, products, created_at,
    (SELECT contacted_at FROM edges WHERE token = tokens.id), (SELECT followed FROM edges WHERE token = tokens.id)";

/// What [`NOTE`] would not change.
const IS_NOTED: &str = "SELECT 1 FROM edges WHERE token = ?1 AND followed = ?2 AND contacted_at > ?3";

const NOTE: &str = "
    INSERT INTO edges (token, followed, contacted_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (token) DO UPDATE SET followed = ?2, contacted_at = ?3";

/// `GET /api/v1/edges`: each with when it last followed the changes, and how many events it does
/// not know of yet.
pub(crate) fn list(ask: &Ask<'_>) -> Result<Response, Problem> {
    let (limit, cursor) = (ask.query.limit()?, ask.query.cursor()?);
    ask.query.finish()?;
    let end = End::read()?.number;
    let now = Some(moment(ask.now));
    let select = Select::after(COLUMNS, "tokens", cursor)
        .and("+role = ?", Some(text("edge")))
        .and("(+revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?))", now);
    let (edges, next) = select.page(limit, |row| view(row, end))?;
    Ok(page::answer(edges, next.map(page::cursor)))
}

/// Notes that an edge knows all events up to this one, and at most once a minute that it asked: it
/// asks each second, and a write would wait for those of vendors. A database that cannot write now
/// must not prevent reads.
pub(crate) fn note(token: &str, followed: u64, now: Timestamp) {
    let earlier = moment(now.minus_seconds(TOKEN_USE_SECONDS));
    let is_noted = db::query_one(IS_NOTED, vec![text(token), integer(followed), earlier]);
    if is_noted.is_ok_and(|row| row.is_none()) {
        let _ = db::execute(NOTE, vec![text(token), integer(followed), moment(now)]);
    }
}

fn view(row: &Row, end: u64) -> Result<Value, Problem> {
    let mut view = Map::from_iter([
        ("id".into(), json!(row.text(1)?)),
        ("name".into(), json!(row.text(2)?)),
        ("createdAt".into(), json!(row.moment(4)?)),
    ]);
    view.extend(row.optional_json(3)?.map(|products| ("products".into(), products)));
    view.extend(row.optional_moment(5)?.map(|moment| ("lastContactAt".into(), json!(moment))));
    let followed = row.optional_integer(6)?.unwrap_or_default().cast_unsigned();
    view.insert("eventsBehind".into(), json!(end.saturating_sub(followed)));
    Ok(Value::Object(view))
}
