//! How long data is kept, as the settings say, and its removal in bounded portions.
//!
//! | setting | of | default |
//! |---|---|---|
//! | `keep_validation_days` | counts of validations | 400 |
//! | `keep_answer_hours` | answers for retries with an idempotency key | 24 |
//! | `keep_personal_days` | owners and metadata in events | for ever |
//!
//! The native host asks for the removal every hour. On other hosts a write is followed by one
//! portion.

use std::sync::atomic::{AtomicI64, Ordering};

use countersign::time::Timestamp;
use serde_json::json;

use super::events::{self, has_personal};
use crate::ask::Ask;
use crate::host::settings::kept;
use crate::limits::{CLEAN_AT_ONCE, KEEP_VALIDATION_DAYS, RETENTION_PAUSE_SECONDS};
use crate::sql::db::{self, integer, moment, optional};
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{Problem, corrupt};
use crate::write::change::{Change, run};
use crate::write::idempotency;

const DAY: u32 = 86_400;

// Where personal data stays for ever, the moment is `NULL`, and no event is before that.
const LOOK: &str = concat!(
    "SELECT EXISTS (SELECT 1 FROM validations WHERE day < ?1) OR EXISTS (SELECT 1 FROM operations WHERE at <= ?2) ",
    "OR EXISTS (SELECT 1 FROM events WHERE at <= ?3 AND ",
    has_personal!(),
    ") OR EXISTS (SELECT 1 FROM events WHERE at <= ?3 AND ",
    has_personal!(old),
    ")"
);
const OLD_VALIDATIONS: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM validations WHERE day < ?1 LIMIT ?2)";
const FORGET_VALIDATIONS: &str = "DELETE FROM validations WHERE (license, day, code) IN \
    (SELECT license, day, code FROM validations WHERE day < ?1 LIMIT ?2)";
const FORGET_LOSSES: &str = "DELETE FROM losses WHERE day < ?1";
const OLD_ANSWERS: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM operations WHERE at <= ?1 LIMIT ?2)";
const OLD_EVENTS: &str = concat!("SELECT number FROM events WHERE at <= ?1 AND ", has_personal!(), " LIMIT ?2");
const OLD_EVENTS_OF_EARLIER_VERSIONS: &str =
    concat!("SELECT number FROM events WHERE at <= ?1 AND ", has_personal!(old), " LIMIT ?2");

/// When this instance last looked for what is too old.
static LOOKED: AtomicI64 = AtomicI64::new(i64::MIN);

/// What is kept.
struct Bounds {
    /// The first day whose counts are kept.
    day: i64,
    /// The last moment whose answers are not.
    answers: Timestamp,
    /// The last moment whose personal data is not, if it does not stay for ever.
    personal: Option<Timestamp>,
}

/// `POST /api/v1/retention`: removes one portion of what is too old.
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.optional_fields()?.finish()?;
    ask.query.finish()?;
    LOOKED.store(ask.now.unix(), Ordering::Relaxed);
    clean(ask)
}

/// Removes one portion after a write, at most once in a while for an instance. A failure is not one
/// of the request: the next write, or the next request for it, removes more.
pub(crate) fn after_write(ask: &Ask<'_>) {
    let now = ask.now.unix();
    let looked = LOOKED.load(Ordering::Relaxed);
    if now.saturating_sub(looked) >= i64::from(RETENTION_PAUSE_SECONDS) || now < looked {
        LOOKED.store(now, Ordering::Relaxed);
        let _: Result<Response, Problem> = clean(ask);
    }
}

fn clean(ask: &Ask<'_>) -> Result<Response, Problem> {
    let bounds = Bounds::read(ask.now)?;
    let answer = |validations: u64, answers: u64, events: u64| {
        let has_more = [validations, answers, events].contains(&u64::from(CLEAN_AT_ONCE));
        Answer::ok(json!({ "validations": validations, "answers": answers, "events": events, "more": has_more }), None)
    };
    if !bounds.is_exceeded()? {
        return Ok(answer(0, 0, 0).into());
    }
    // Without an operation: a retry has nothing left to remove.
    run(ask, None, &mut || {
        let count = |sql, until| db::query_one(sql, vec![until, integer(CLEAN_AT_ONCE)])?.ok_or_else(corrupt)?.count(0);
        let mut change = Change::new();
        let validations = count(OLD_VALIDATIONS, integer(bounds.day))?;
        if validations > 0 {
            change.run(FORGET_VALIDATIONS, vec![integer(bounds.day), integer(CLEAN_AT_ONCE)]);
            change.run(FORGET_LOSSES, vec![integer(bounds.day)]);
        }
        let answers = count(OLD_ANSWERS, moment(bounds.answers))?;
        if answers > 0 {
            change.extend(idempotency::forget(bounds.answers, CLEAN_AT_ONCE));
        }
        let mut events = Vec::new();
        for sql in [OLD_EVENTS, OLD_EVENTS_OF_EARLIER_VERSIONS] {
            let left = integer(CLEAN_AT_ONCE - events.len() as u32);
            for row in db::query(sql, vec![optional(bounds.personal, moment), left])? {
                events.push(row.integer(0)?);
            }
        }
        events::erase(&events, &mut change)?;
        Ok((change, answer(validations, answers, events.len() as u64)))
    })
}

impl Bounds {
    fn read(now: Timestamp) -> Result<Self, Problem> {
        let days = kept("keep_validation_days")?.unwrap_or(KEEP_VALIDATION_DAYS);
        let personal = kept("keep_personal_days")?;
        Ok(Self {
            day: now.unix().div_euclid(i64::from(DAY)) - i64::from(days),
            answers: idempotency::answers_until(now)?,
            personal: personal.map(|days| now.minus_seconds(days.saturating_mul(DAY))),
        })
    }

    /// Whether anything is too old. One statement, as mostly nothing is.
    fn is_exceeded(&self) -> Result<bool, Problem> {
        let parameters = vec![integer(self.day), moment(self.answers), optional(self.personal, moment)];
        Ok(db::query_one(LOOK, parameters)?.ok_or_else(corrupt)?.integer(0)? != 0)
    }
}
