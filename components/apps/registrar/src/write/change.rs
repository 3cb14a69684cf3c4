//! A write: statements, the events that record them, the outbox rows for the store, and the answer
//! for a retry are committed in one transaction. Then the outbox is delivered to the store.
//!
//! Every change appends to one chain of events, and appending fails if the chain has moved. So
//! changes are serialised, and what a verb has read is still true when it commits. If the chain has
//! moved, the verb reads again.

use std::collections::BTreeSet;

use countersign::audit;
use countersign::id::LicenseId;
use countersign::key::KeyHash;
use countersign::license::License;
use countersign::time::Timestamp;
use countersign::wish::Wish;
use countersign_app_common::clock::{self, Stopwatch};
use countersign_app_common::contention::retry;
use serde_json::Value;

use crate::ask::Ask;
use crate::bindings::countersign::license::sql::{self, Error, Outcome, Statement};
use crate::host::random::random;
use crate::limits::{CHANGE_BOUND, MAX_CHANGE_BYTES};
use crate::sql::db::{self, blob, integer, moment, statement, text};
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{self, Problem};
use crate::write::chain::{End, Event};
use crate::write::head;
use crate::write::idempotency::Operation;
use crate::write::outbox;

const DELIVER: &str =
    "INSERT INTO outbox (change, license, key, generation, record, queued_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// What to write. An empty change writes nothing, as the request's effect is there already.
pub(crate) struct Change {
    /// Identifies its rows of the outbox.
    id: [u8; 16],
    statements: Vec<Statement>,
    events: Vec<Event>,
    propagation: Propagation,
    at: Timestamp,
    most_bytes: usize,
}

/// What the member `propagated` of the answer says.
enum Propagation {
    /// Nothing: the answer has no such member.
    Unreported,
    /// Whether the store has every record of this licence, as the change has none.
    Earlier(LicenseId),
    /// Whether the store has the records of this change.
    Delivered,
}

impl Change {
    pub(crate) fn new() -> Self {
        let propagation = Propagation::Unreported;
        let (statements, events) = (Vec::new(), Vec::new());
        Self { id: random(), statements, events, propagation, at: clock::now(), most_bytes: MAX_CHANGE_BYTES }
    }

    /// A change whose verb has a bound of its own.
    pub(crate) fn in_steps() -> Self {
        Self { most_bytes: usize::MAX, ..Self::new() }
    }

    /// A change of this licence. If it delivers nothing, the answer says whether the store has what
    /// was delivered before.
    pub(crate) fn of_license(license: &LicenseId) -> Self {
        Self { propagation: Propagation::Earlier(license.clone()), ..Self::new() }
    }

    /// Adds a statement.
    pub(crate) fn run(&mut self, sql: &str, parameters: Vec<db::Value>) {
        self.statements.push(statement(sql, parameters, None));
    }

    /// Adds a statement that must return this number of rows (`RETURNING`). Otherwise nothing of
    /// the change is committed, and its verb reads again.
    pub(crate) fn expect(&mut self, sql: &str, parameters: Vec<db::Value>, rows: u32) {
        self.statements.push(statement(sql, parameters, Some(rows)));
    }

    /// Adds statements.
    pub(crate) fn extend(&mut self, statements: impl IntoIterator<Item = Statement>) {
        self.statements.extend(statements);
    }

    /// Adds an event: the action, such as `license.created`, the resource's id, and the resource
    /// before and after. Neither may contain a key, a token or a hash of one. Numbers must be
    /// whole, and names ASCII, as the chain's canonical form requires.
    pub(crate) fn event(&mut self, action: &'static str, subject: &str, before: Option<Value>, after: Option<Value>) {
        let [mut before, mut after] = [before, after].map(Option::unwrap_or_default);
        let personal = audit::take_personal(action, &mut before, &mut after).map(|personal| personal.to_string());
        let [before, after] = [before, after].map(|state| (!state.is_null()).then(|| state.to_string()));
        self.events.push(Event { action, subject: subject.into(), before, after, personal });
    }

    /// Delivers a record to the store under a key's hash, unless the store has a record of the same
    /// or a higher generation there.
    pub(crate) fn deliver(&mut self, license: &LicenseId, key: &KeyHash, record: &License) {
        self.propagation = Propagation::Delivered;
        let parameters = [
            blob(self.id),
            text(license.as_str()),
            text(key.store_key()),
            integer(record.generation),
            text(record.to_json()),
            moment(self.at),
        ];
        self.run(DELIVER, parameters.into());
    }

    /// Delivers a wish to the licence's state.
    pub(crate) fn wish(&mut self, license: &LicenseId, wish: &Wish) {
        self.propagation = Propagation::Delivered;
        let parameters = [
            blob(self.id),
            text(license.as_str()),
            text(license.state_key()),
            integer(0),
            text(wish.to_json()),
            moment(self.at),
        ];
        self.run(DELIVER, parameters.into());
    }

    /// Tries to commit. Returns the chain's new end, or `None` if another change was committed
    /// since this one's verb read.
    fn commit(
        self,
        ask: &Ask<'_>,
        mut end: End,
        operation: Option<&Operation>,
        answer: &Answer,
    ) -> Result<Option<End>, Problem> {
        let mut statements = Vec::with_capacity(self.statements.len() + self.events.len() + 3);
        if let Some(operation) = operation {
            let delivered = matches!(self.propagation, Propagation::Delivered).then_some(self.id);
            let subjects: BTreeSet<_> = self.events.iter().map(|event| &*event.subject).collect();
            let licenses: Vec<_> = subjects.into_iter().filter(|id| id.starts_with(LicenseId::PREFIX)).collect();
            statements.extend(operation.store(answer, delivered, &licenses, ask.now));
        }
        if !self.events.is_empty() {
            end = end.append(self.events, ask, self.at, &mut statements);
        }
        statements.extend(self.statements);
        if statements.is_empty() {
            return Ok(Some(end));
        }
        let bytes = statements.iter().map(bytes_of).sum();
        if bytes > self.most_bytes {
            return Err(problem::change_too_large(bytes, self.most_bytes));
        }
        match sql::batch(&statements) {
            Ok(Outcome::Committed(_)) => Ok(Some(end)),
            // A constraint fails only if another change wrote what this one's verb did not find.
            Ok(Outcome::Unmet(_)) | Err(Error::Constraint(_)) => Ok(None),
            Err(error) => Err(db::problem(error)),
        }
    }
}

/// What a statement has the database write, without its own text.
fn bytes_of(statement: &Statement) -> usize {
    let bytes_of = |value: &db::Value| match value {
        db::Value::Text(text) => text.len(),
        db::Value::Blob(blob) => blob.len(),
        db::Value::Null | db::Value::Integer(_) | db::Value::Real(_) => 8,
    };
    statement.parameters.iter().map(bytes_of).sum()
}

/// Commits the change that `build` describes, delivers it to the store, and gives its answer. A
/// request that was done before, with the same idempotency key, gets the stored answer instead.
///
/// `build` may be called several times and must read afresh each time. It need not guard its
/// statements against concurrent changes: any change with an event moves the chain, and this one
/// then fails and is retried. Query parameters that have not been taken by now are refused.
///
/// It is a trait object, as a copy of this function for each verb would take a kilobyte.
///
/// If the change delivers records, the answer says in `propagated` whether the store has them. A
/// stored answer says it as of now.
pub(crate) fn change(
    ask: &Ask<'_>,
    build: &mut dyn FnMut() -> Result<(Change, Answer), Problem>,
) -> Result<Response, Problem> {
    ask.query.finish()?;
    run(ask, Operation::of(ask)?.as_ref(), build)
}

/// As [`change`], for this operation or none.
pub(crate) fn run(
    ask: &Ask<'_>,
    operation: Option<&Operation>,
    build: &mut dyn FnMut() -> Result<(Change, Answer), Problem>,
) -> Result<Response, Problem> {
    let stored = || operation.map_or(Ok(None), Operation::find);
    let done = retry(&CHANGE_BOUND, Stopwatch::start(), |_| {
        if let Some(response) = stored()? {
            return Ok(Some(response));
        }
        let end = End::read()?;
        let (change, mut answer) = match build() {
            Ok(built) => built,
            // The same request may have been done since the look-up, and have caused the problem.
            Err(problem) => return stored()?.ok_or(problem).map(Some),
        };
        if let Propagation::Earlier(license) = &change.propagation {
            answer = answer.with_propagated(!outbox::has_pending(license)?);
        }
        let (id, delivers) = (change.id, matches!(change.propagation, Propagation::Delivered));
        let Some(new_end) = change.commit(ask, end, operation, &answer)? else { return Ok(None) };
        // Also if the change delivers nothing: every write carries older rows along.
        let is_propagated = outbox::deliver_after(&id);
        if new_end != end {
            head::remember(end, new_end);
        }
        Ok(Some(if delivers { answer.with_propagated(is_propagated) } else { answer }.into()))
    })?;
    done.ok_or_else(|| Problem::unavailable("contention"))
}
