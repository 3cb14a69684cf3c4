//! The licences: a file for each verb, and here what those that change one have in common.

pub(crate) mod activations;
pub(crate) mod bulk;
pub(crate) mod change_policy;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod domains;
mod draft;
pub(crate) mod get;
pub(crate) mod issued;
pub(crate) mod list;
pub(crate) mod lookup;
pub(crate) mod patch;
pub(crate) mod renew;
pub(crate) mod rotate_key;
pub(crate) mod search;
pub(crate) mod status;

use countersign::license::Status;
use serde_json::Value;

use crate::ask::Ask;
use crate::resources::licenses::issued::Issued;
use crate::sql::db::{self, text};
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::Problem;
use crate::write::change::{Change, change};

/// Changes the licence that the path names, and answers with it. Where others change it at the same time, `verb` is asked again about what
/// they left.
fn alter(
    ask: &Ask<'_>,
    action: &'static str,
    verb: impl Fn(&mut Issued) -> Result<(), Problem>,
) -> Result<Response, Problem> {
    change(ask, || {
        let before = current(ask)?;
        let mut after = before.clone();
        verb(&mut after)?;
        altered(ask, action, &before, after)
    })
}

/// The licence that the path names, if it is as the caller believes.
fn current(ask: &Ask<'_>) -> Result<Issued, Problem> {
    let issued = Issued::find(ask, &ask.parameters[0])?;
    ask.check_if_match(issued.revision)?;
    Ok(issued)
}

/// The change from one to the other, and the answer to it.
fn altered(
    ask: &Ask<'_>,
    action: &'static str,
    before: &Issued,
    mut after: Issued,
) -> Result<(Change, Answer), Problem> {
    if after != *before {
        if before.record.status == Status::Revoked {
            return Err(Problem::Revoked);
        }
        after.check()?;
    }
    let mut change = Change::new();
    after.update(before, &mut change, action, ask.now);
    let mut shown = after.shown();
    // Where there is nothing to deliver it is what was delivered before that counts.
    let pending = "SELECT 1 FROM outbox WHERE license = ?1 LIMIT 1";
    let is_propagated = db::query(pending, vec![text(after.record.id.as_str())])?.is_empty();
    shown.insert("propagated".into(), is_propagated.into());
    Ok((change, Answer::ok(Value::Object(shown), after.revision)))
}
