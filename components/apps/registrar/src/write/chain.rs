//! The chain of events: each event's hash covers the hash before it, so that an event that is
//! changed, removed or moved can be found (`countersign::audit`).

use countersign::time::Timestamp;
use countersign::{audit, hex};
use serde_json::Value;

use crate::ask::Ask;
use crate::bindings::countersign::license::sql::Statement;
use crate::host::random::{id, random};
use crate::sql::db::{self, blob, integer, moment, optional, statement, text};
use crate::wire::problem::{Problem, corrupt};

const INSERT: &str = "
    INSERT INTO events (number, id, at, actor, action, subject, request_id, before, after, previous, hash,
                        commitment, salt, personal)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

/// One entry of the audit.
pub(super) struct Event {
    pub(super) action: &'static str,
    pub(super) subject: String,
    /// The resource before and after as JSON text, which takes a fraction of the memory of a value:
    /// one change may have hundreds of events about licences of a thousand domains.
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    /// What neither of them has: personal data, which can be erased later.
    pub(super) personal: Option<String>,
}

/// The last event: its number, 0 before the first, and its hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) number: u64,
    pub(crate) hash: [u8; 32],
}

impl End {
    /// Before the first event.
    pub(crate) const BEGINNING: Self = Self { number: 0, hash: audit::BEGINNING };

    pub(crate) fn read() -> Result<Self, Problem> {
        let row = db::query_one("SELECT number, hash FROM chain", Vec::new())?.ok_or_else(corrupt)?;
        Ok(Self { number: row.count(0)?, hash: row.hash(1)? })
    }

    /// Adds statements that append the events, on condition that this is still the chain's end.
    /// Returns the end that follows.
    pub(super) fn append(
        self,
        events: Vec<Event>,
        ask: &Ask<'_>,
        at: Timestamp,
        statements: &mut Vec<Statement>,
    ) -> Self {
        let Self { mut number, hash: mut previous } = self;
        let mut rows = Vec::with_capacity(events.len());
        for Event { action, subject, before, after, personal } in events {
            number += 1;
            let id = id("evt_");
            // The canonical form (RFC 8785), member by member: `before` and `after` are canonical
            // already.
            let string = |text: &str| Value::from(text).to_string();
            let salt = personal.is_some().then(random::<16>);
            let commitment = salt.zip(personal.as_deref()).map(|(salt, personal)| audit::commit(&salt, personal));
            let commits = commitment.map(|hash| format!(r#""personal":"{}","#, hex::encode(&hash)));
            let event = format!(
                r#"{{"action":{},"actor":{},"after":{},"at":"{}","before":{},"id":"{id}","number":{number},{}"requestId":{},"subject":{}}}"#,
                string(action),
                string(&ask.caller.id),
                after.as_deref().unwrap_or("null"),
                at,
                before.as_deref().unwrap_or("null"),
                commits.unwrap_or_default(),
                string(&ask.request_id),
                string(&subject),
            );
            let hash = audit::link_canonical(&previous, event.as_bytes());
            let parameters = vec![
                integer(number),
                text(id),
                moment(at),
                text(&*ask.caller.id),
                text(action),
                text(subject),
                text(&*ask.request_id),
                optional(before, text),
                optional(after, text),
                blob(previous),
                blob(hash),
                optional(commitment, blob),
                optional(salt, blob),
                optional(personal, text),
            ];
            rows.push(statement(INSERT, parameters, None));
            previous = hash;
        }
        // First, so that a change that lost the race does no other work.
        statements.push(statement(
            "UPDATE chain SET number = ?1, hash = ?2 WHERE number = ?3 RETURNING number",
            vec![integer(number), blob(previous), integer(self.number)],
            Some(1),
        ));
        statements.append(&mut rows);
        Self { number, hash: previous }
    }
}
