//! A write: what changes, the events that tell of it, what the store is to be told, and the answer that a retry gets, all in one
//! transaction; and then the store is told.
//!
//! It is optimistic. The end of the chain of events is read before anything else, and a [`Change`] with an event is made only if it is
//! still the end: so whatever its verb has read is as it was, as far as events tell of it. Otherwise the verb is asked to read again. Of
//! writes at the same moment one is made, and the others try again.

use std::time::Duration;

use crate::limits::{MAX_CHANGE_ATTEMPTS, MAX_CHANGING};
use countersign::id::LicenseId;
use countersign::key::KeyHash;
use countersign::license::License;
use countersign::time::Timestamp;
use serde_json::Value;

use crate::ask::Ask;
use crate::bindings::countersign::license::sql::{self, Error, Outcome, Statement};
use crate::host::clock::{self, Stopwatch, wait_up_to};
use crate::host::random::random;
use crate::sql::db::{self, blob, integer, moment, statement, text};
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::Problem;
use crate::write::chain::{End, Event};
use crate::write::idempotency::Operation;
use crate::write::outbox;

/// What a write waits at most before its third attempt. It waits less before each that follows, so that who came first is soon served.
const FIRST_WAIT: Duration = Duration::from_millis(16);

/// What is to be written. One that holds nothing writes nothing, which is an answer too: what was asked for is so already.
pub(crate) struct Change {
    /// What its rows of the outbox are known by.
    id: [u8; 16],
    statements: Vec<Statement>,
    events: Vec<Event>,
    delivers: bool,
    at: Timestamp,
}

impl Change {
    pub(crate) fn new() -> Self {
        Self { id: random(), statements: Vec::new(), events: Vec::new(), delivers: false, at: clock::now() }
    }

    /// Adds a statement.
    pub(crate) fn run(&mut self, sql: &str, parameters: Vec<db::Value>) {
        self.statements.push(statement(sql, parameters, None));
    }

    /// Adds a statement that must return so many rows (`RETURNING`), or nothing of the change is made and its verb reads again.
    pub(crate) fn expect(&mut self, sql: &str, parameters: Vec<db::Value>, rows: u32) {
        self.statements.push(statement(sql, parameters, Some(rows)));
    }

    /// Tells of a change in the audit: `license.created`, the resource's id, and how it was and is. Neither holds a key, a token or a
    /// hash of one; numbers in them are whole, and names are ASCII.
    pub(crate) fn event(&mut self, action: &'static str, subject: &str, before: Option<Value>, after: Option<Value>) {
        let [before, after] = [before, after].map(|value| value.map(|value| value.to_string()));
        self.events.push(Event { action, subject: subject.into(), before, after });
    }

    /// Has the store be told of a licence: the record that is to stand under a key's hash, unless one of a higher generation does.
    pub(crate) fn deliver(&mut self, license: &LicenseId, key: &KeyHash, record: &License) {
        self.delivers = true;
        let json = record.to_json();
        self.statements.push(statement(
            "INSERT INTO outbox (change, license, key, generation, record, queued_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            vec![
                blob(self.id),
                text(license.as_str()),
                text(key.store_key()),
                integer(record.generation),
                text(json),
                moment(self.at),
            ],
            None,
        ));
    }

    /// One attempt: whether it was made.
    fn commit(
        mut self,
        ask: &Ask<'_>,
        end: End,
        operation: Option<&Operation>,
        answer: &Answer,
    ) -> Result<bool, Problem> {
        let mut statements = Vec::with_capacity(self.statements.len() + self.events.len() + 3);
        if let Some(operation) = operation {
            statements.extend(operation.keep(answer, self.delivers.then_some(self.id), ask.now));
        }
        if !self.events.is_empty() {
            end.append(std::mem::take(&mut self.events), ask, self.at, &mut statements);
        }
        statements.append(&mut self.statements);
        if statements.is_empty() {
            return Ok(true);
        }
        match sql::batch(&statements) {
            Ok(Outcome::Committed(_)) => Ok(true),
            // Another wrote what this one's verb read before.
            Ok(Outcome::Unmet(_)) | Err(Error::Constraint(_)) => Ok(false),
            Err(error) => Err(db::problem(error)),
        }
    }
}

/// Makes the change that `build` describes, and answers as it says; to a request that came before with the same idempotency key, as then.
///
/// `build` reads what it needs each time it is called; what it reads need be no condition of its statements again (`expect`), as long as
/// the change has an event and so has all that changes what was read. Query parameters that the verb did not take are refused.
///
/// Where the change delivers records, the body gets the member `propagated`: whether the store has them. A request that came before has
/// delivered what is left, and is told of it as of now; all else in its answer is as it was.
pub(crate) fn change(
    ask: &Ask<'_>,
    mut build: impl FnMut() -> Result<(Change, Answer), Problem>,
) -> Result<Response, Problem> {
    ask.query.finish()?;
    let operation = Operation::of(ask)?;
    let kept = || operation.as_ref().map_or(Ok(None), |operation| operation.find(ask.now));
    let trying = Stopwatch::start();
    for attempt in 0..MAX_CHANGE_ATTEMPTS {
        // The second time at once: most meet but one other.
        if attempt > 1 {
            if trying.elapsed() > MAX_CHANGING {
                break;
            }
            wait_up_to(FIRST_WAIT / (attempt - 1));
        }
        if let Some(response) = kept()? {
            return Ok(response);
        }
        let end = End::read()?;
        let (change, answer) = match build() {
            Ok(built) => built,
            // It may stand against itself: the same request was done between the two reads.
            Err(problem) => return kept()?.ok_or(problem),
        };
        let (id, delivers) = (change.id, change.delivers);
        if change.commit(ask, end, operation.as_ref(), &answer)? {
            let propagated = outbox::deliver_after(&id);
            return Ok(answer.into_response(delivers.then_some(propagated)));
        }
    }
    Err(Problem::Unavailable { reason: "contention" })
}
