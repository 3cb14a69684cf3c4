//! The outbox: records that the store does not have yet. Whoever delivers them, as the native host
//! does by itself, has the search's index brought up to date too.

use serde_json::json;

use crate::ask::Ask;
use crate::resources::licenses;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::Problem;
use crate::write::change::{Change, change};
use crate::write::idempotency::Operation;
use crate::write::outbox;

/// `POST /api/v1/outbox/deliveries`: delivers as many pending records as one request may. A token
/// that is bound to products gets the numbers of their records only.
pub(crate) fn deliver(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.optional_fields()?.finish()?;
    ask.query.finish()?;
    let operation = Operation::of(ask)?;
    if let Some(stored) = operation.as_ref().map_or(Ok(None), Operation::find)? {
        return Ok(stored);
    }
    let scope = ask.caller.scope();
    let before = outbox::depth(scope.clone())?;
    let delivered = outbox::deliver_pending()?;
    licenses::index::step()?;
    let left = outbox::depth(scope)?;
    let delivered = if ask.caller.is_scoped() { before.saturating_sub(left) } else { delivered };
    let body = json!({ "delivered": delivered, "left": left });
    // The change is empty: it only stores the answer for a retry.
    change(ask, &mut || Ok((Change::new(), Answer::ok(body.clone(), None))))
}
