//! The outbox: records that the store does not have yet.

use serde_json::json;

use crate::ask::Ask;
use crate::sql::db;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::Problem;
use crate::write::change::{Change, change};
use crate::write::outbox::deliver_pending;

/// `POST /api/v1/outbox/deliveries`: delivers what is pending, for as long as one request may.
pub(crate) fn deliveries(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.optional_fields()?.finish()?;
    change(ask, || {
        let delivered = deliver_pending()?;
        let left = db::query_one("SELECT count(*) FROM outbox", Vec::new())?.ok_or(Problem::CORRUPT)?.count(0)?;
        let body = json!({ "delivered": delivered, "left": left });
        Ok((Change::new(), Answer::ok(body, None)))
    })
}
