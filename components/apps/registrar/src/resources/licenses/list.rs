//! Lists licences, filters and searches them.

use serde_json::{Value, json};

use super::search::filter::Filter;
use crate::ask::Ask;
use crate::wire::Response;
use crate::wire::answer;
use crate::wire::problem::Problem;

/// `GET /api/v1/licenses`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    let filter = Filter::read(ask)?;
    let (after, limit) = (filter.cursor(ask)?, ask.query.limit()?);
    ask.query.finish()?;
    let page = filter.page(&after, limit)?;
    let items: Vec<_> = page.items.iter().map(|issued| Value::Object(issued.shown())).collect();
    let mut body = json!({ "items": items });
    if let Some(next) = page.next {
        body["next"] = next.cursor().into();
    }
    Ok(answer::json(200, &body))
}
