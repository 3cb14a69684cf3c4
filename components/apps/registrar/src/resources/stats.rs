//! How many resources there are, and how often validations gave which code.

use countersign::field::FieldError;
use countersign::id::LicenseId;
use countersign::limits::{MAX_AMOUNT, MAX_NAME_BYTES};
use countersign::time::{TimeError, Timestamp};
use countersign_app_common::answer;
use countersign_app_common::fields::Fields;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::limits::{DEFAULT_STATS_DAYS, MAX_BULK_ITEMS};
use crate::resources::licenses::search::queries;
use crate::sql::db::{self, integer, moment, text};
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{Problem, corrupt, missing};
use crate::write::change::{Change, change};

const DAY: i64 = 86_400;
const MONTH: u32 = 30 * 86_400;

/// All, suspended and revoked licences, and those with a weak key. The active ones, mostly nearly
/// all, are the rest: counting them would read every row.
const BY_STATUS: &str = "SELECT (SELECT COUNT(*) FROM licenses), (SELECT COUNT(*) FROM licenses WHERE status = 'suspended'), \
    (SELECT COUNT(*) FROM licenses WHERE status = 'revoked'), (SELECT COUNT(*) FROM licenses WHERE weak_key = 1)";

/// Of the active licences, how many have expired and how many expire soon. The index is named, as
/// SQLite would otherwise read all active ones.
const BY_END: &str = "SELECT COALESCE(SUM(expires_at <= ?1), 0), COALESCE(SUM(expires_at > ?1), 0) FROM licenses \
    INDEXED BY licenses_active_by_end WHERE expires_at < ?2 AND status = 'active'";

const OTHERS: &str = "SELECT (SELECT COUNT(*) FROM products), (SELECT COUNT(*) FROM policies), \
    (SELECT COUNT(*) FROM outbox), (SELECT MIN(queued_at) FROM outbox)";

// The row with an empty licence has the sum over all licences.
const DAYS: &str =
    "SELECT day, code, count FROM validations WHERE license = ?1 AND day BETWEEN ?2 AND ?3 ORDER BY day, code";
const ADD: &str = "INSERT INTO validations (license, day, code, count) SELECT json_extract(value, '$.license'), \
    json_extract(value, '$.day'), json_extract(value, '$.code'), json_extract(value, '$.count') FROM json_each(?1) WHERE true \
    ON CONFLICT DO UPDATE SET count = count + excluded.count";
const LOST: &str = "SELECT COALESCE(SUM(count), 0) FROM losses WHERE day BETWEEN ?1 AND ?2";
const ADD_LOST: &str =
    "INSERT INTO losses (day, count) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET count = count + excluded.count";

/// `GET /api/v1/stats`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    let license = ask.query.parse_one("license", LicenseId::parse)?;
    let today = ask.now.unix().div_euclid(DAY);
    let until = ask.query.parse_one("until", read_day)?.unwrap_or(today);
    let since = ask.query.parse_one("since", read_day)?.unwrap_or(until - i64::from(DEFAULT_STATS_DAYS) + 1);
    ask.query.finish()?;

    let statuses = db::query_one(BY_STATUS, Vec::new())?.ok_or_else(corrupt)?;
    let (all, suspended, revoked) = (statuses.count(0)?, statuses.count(1)?, statuses.count(2)?);
    let active = all.saturating_sub(suspended + revoked);
    let mut licenses = json!({ "active": active, "suspended": suspended, "revoked": revoked });
    licenses["weakKeys"] = statuses.count(3)?.into();
    let soon = ask.now.plus_seconds(MONTH);
    let ends = db::query_one(BY_END, vec![moment(ask.now), moment(soon)])?.ok_or_else(corrupt)?;
    licenses["expired"] = ends.count(0)?.into();
    licenses["expiringIn30Days"] = ends.count(1)?.into();
    let to_begin = db::query_one(queries::COUNT_TO_BEGIN, Vec::new())?.ok_or_else(corrupt)?;
    licenses["notBegun"] = to_begin.count(0)?.into();
    let others = db::query_one(OTHERS, Vec::new())?.ok_or_else(corrupt)?;
    let waiting =
        others.optional_moment(3)?.map_or(0, |queued_at| ask.now.unix().saturating_sub(queued_at.unix()).max(0));
    let lost = db::query_one(LOST, vec![integer(since), integer(until)])?.ok_or_else(corrupt)?;
    let stats = json!({
        "licenses": licenses,
        "products": others.count(0)?,
        "policies": others.count(1)?,
        "outbox": { "depth": others.count(2)?, "oldestSeconds": waiting },
        "validations": { "days": days(license.as_ref(), since, until)?, "lost": lost.count(0)? },
    });
    Ok(answer::json(200, &stats))
}

fn days(license: Option<&LicenseId>, since: i64, until: i64) -> Result<Vec<Value>, Problem> {
    let license = license.map_or("", LicenseId::as_str);
    let mut days: Vec<(i64, Map<String, Value>)> = Vec::new();
    for row in db::query(DAYS, vec![text(license), integer(since), integer(until)])? {
        let day = row.integer(0)?;
        if days.last().is_none_or(|(last, _)| *last != day) {
            days.push((day, Map::new()));
        }
        let count = row.count(2)?.into();
        let code = row.text(1)?.to_owned();
        days.last_mut().and_then(|(_, codes)| codes.insert(code, count));
    }
    Ok(days.into_iter().map(|(day, codes)| json!({ "day": written_day(day), "codes": codes })).collect())
}

/// `POST /api/v1/stats/validations`, and for edges `POST /api/v1/origin/validations`: adds to the
/// counts.
pub(crate) fn add(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let given = fields.objects("counts")?.ok_or_else(|| missing("counts"))?;
    let lost = fields.integer_within("lost", 0..=MAX_AMOUNT)?.unwrap_or_default();
    fields.finish()?;
    if given.len() > MAX_BULK_ITEMS as usize {
        let detail = format_args!("must have at most {MAX_BULK_ITEMS} entries.");
        return Err(FieldError::new("counts", detail).into());
    }
    let mut counts = Vec::with_capacity(2 * given.len());
    for count in given {
        let mut count = read_count(count)?;
        // An edge counts what it was asked about. Only those of its products are its to report.
        if ask.caller.is_scoped() && !is_of_caller(ask, &count)? {
            continue;
        }
        counts.push(count.clone());
        count["license"] = "".into();
        counts.push(count);
    }
    let today = ask.now.unix().div_euclid(DAY);
    change(ask, &mut || {
        let mut change = Change::new();
        change.run(ADD, vec![text(json!(counts).to_string())]);
        if lost > 0 {
            change.run(ADD_LOST, vec![integer(today), integer(lost)]);
        }
        Ok((change, Answer::no_content()))
    })
}

fn is_of_caller(ask: &Ask<'_>, count: &Value) -> Result<bool, Problem> {
    let license = count["license"].as_str().unwrap_or_default();
    let row = db::query_one("SELECT product FROM licenses WHERE id = ?1", vec![text(license)])?;
    Ok(match row {
        Some(row) => ask.caller.has_product(row.text(0)?),
        None => false,
    })
}

/// One count, with its day as a number.
fn read_count(mut fields: Fields) -> Result<Value, FieldError> {
    let license: LicenseId = fields.parse("license")?.ok_or_else(|| fields.missing("license"))?;
    let day = fields.text("day")?.ok_or_else(|| fields.missing("day"))?;
    let day = read_day(&day).map_err(|_| fields.error("day", "must be a date such as 2026-11-22."))?;
    let code = fields.text("code")?.ok_or_else(|| fields.missing("code"))?;
    let is_code = (1..=MAX_NAME_BYTES).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if !is_code {
        let detail = format_args!("must be 1 to {MAX_NAME_BYTES} upper-case letters and underscores.");
        return Err(fields.error("code", detail));
    }
    let count = fields.integer_within("count", 1..=MAX_AMOUNT)?.ok_or_else(|| fields.missing("count"))?;
    fields.finish()?;
    Ok(json!({ "license": license, "day": day, "code": code, "count": count }))
}

/// A `full-date` (RFC 3339, section 5.6) as a number of days since 1970-01-01.
fn read_day(given: &str) -> Result<i64, TimeError> {
    let day = Timestamp::parse_start(given)?;
    if given.len() == "2026-11-22".len() { Ok(day.unix().div_euclid(DAY)) } else { Err(TimeError::Form) }
}

fn written_day(day: i64) -> String {
    let mut text = Timestamp::from_unix(day.saturating_mul(DAY)).to_string();
    text.truncate("2026-11-22".len());
    text
}
