//! Lists licences, with filters and search.

use serde_json::Value;

use super::search::filter::Filter;
use crate::ask::Ask;
use crate::wire::problem::Problem;
use crate::wire::{Response, page};

/// `GET /api/v1/licenses`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    let filter = Filter::read(ask)?;
    let (after, limit) = (filter.cursor(ask)?, ask.query.limit()?);
    ask.query.finish()?;
    let found = filter.page(&after, limit)?;
    let licenses = found.items.iter().map(|issued| Value::Object(issued.view())).collect();
    Ok(page::answer(licenses, found.next.map(|next| next.cursor())))
}
