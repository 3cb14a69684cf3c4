//! Licences: a file for each verb, and here what the verbs that change one share.

pub(crate) mod issued;

pub(crate) mod draft;
mod strength;
mod warnings;

pub(crate) mod activations;
pub(crate) mod beginnings;
pub(crate) mod bulk;
pub(crate) mod change_policy;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod domains;
pub(crate) mod get;
pub(crate) mod index;
pub(crate) mod list;
pub(crate) mod lookup;
pub(crate) mod patch;
pub(crate) mod renew;
pub(crate) mod rotate_key;
pub(crate) mod search;
pub(crate) mod status;
pub(crate) mod status_of_many;
pub(crate) mod transfer;
pub(crate) mod usage;

use countersign::license::Status;
use serde_json::Value;

use crate::ask::Ask;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{Problem, REVOKED};
use crate::write::change::{Change, change};
use issued::IssuedLicense;

/// Edits the licence in the path, and answers with it. `edit` may be called several times, each
/// time with the licence as other changes left it.
fn alter(
    ask: &Ask<'_>,
    action: &'static str,
    edit: impl Fn(&mut IssuedLicense) -> Result<(), Problem>,
) -> Result<Response, Problem> {
    change(ask, &mut || {
        let before = current(ask)?;
        let mut after = before.clone();
        edit(&mut after)?;
        replace(ask, action, &before, after)
    })
}

/// The licence in the path, if it has the revision that the caller expects.
fn current(ask: &Ask<'_>) -> Result<IssuedLicense, Problem> {
    let issued = IssuedLicense::find(ask, &ask.parameters[0])?;
    ask.check_if_match(issued.revision)?;
    Ok(issued)
}

/// The change from one version of a licence to the next, and its answer.
fn replace(
    ask: &Ask<'_>,
    action: &'static str,
    before: &IssuedLicense,
    mut after: IssuedLicense,
) -> Result<(Change, Answer), Problem> {
    if after != *before {
        if before.record.status == Status::Revoked {
            return Err(REVOKED);
        }
        after.check()?;
    }
    let mut change = Change::of_license(&after.record.id);
    after.update(before, &mut change, action, ask.now)?;
    let mut view = after.view();
    if after.record.domains != before.record.domains {
        warnings::add(&mut view, &after.record);
    }
    let answer = Answer::ok(Value::Object(view), after.revision);
    Ok((change, answer))
}
