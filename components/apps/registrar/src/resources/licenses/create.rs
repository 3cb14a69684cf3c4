//! Issues licences: one, or up to a hundred alike.

use crate::limits::MAX_PAGE_ITEMS;
use countersign::field::FieldError;
use serde_json::{Map, Value};

use super::draft::{Draft, NewKey, brought_key};
use crate::ask::Ask;
use crate::resources::licenses::issued::Issued;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::Problem;
use crate::write::change::{Change, change};

const ACTION: &str = "license.created";

/// `POST /api/v1/licenses`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let draft = Draft::read(&mut fields)?;
    let brought = brought_key(&mut fields)?;
    fields.finish()?;
    change(ask, || {
        if let Some(key) = &brought {
            key.check_is_new()?;
        }
        let (issued, key) = draft.issue(ask, brought.clone(), ask.now)?;
        let mut change = Change::new();
        issued.insert(&mut change, ACTION);
        let location = format!("/api/v1/licenses/{}", issued.record.id);
        Ok((change, Answer::created(location, Value::Object(shown(&issued, key)), issued.revision)))
    })
}

/// `POST /api/v1/licenses/batch`: all or none.
pub(crate) fn batch(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let count = fields.integer("count")?.ok_or_else(|| FieldError::new("count", "is missing."))?;
    if !(1..=u64::from(MAX_PAGE_ITEMS)).contains(&count) {
        return Err(FieldError::new("count", "must be 1 to 100.").into());
    }
    let draft = Draft::read(&mut fields)?;
    fields.finish()?;
    change(ask, || {
        let mut change = Change::new();
        let mut items = Vec::new();
        for _ in 0..count {
            let (issued, key) = draft.issue(ask, None, ask.now)?;
            issued.insert(&mut change, ACTION);
            items.push(Value::Object(shown(&issued, key)));
        }
        let body = Value::Object(Map::from_iter([("items".to_owned(), Value::Array(items))]));
        let answer = Answer { status: 201, body, etag: None, location: None };
        Ok((change, answer))
    })
}

/// The licence with its key, where that was drawn here: nobody is shown it again.
fn shown(issued: &Issued, key: NewKey) -> Map<String, Value> {
    let mut shown = issued.shown();
    shown.extend(key.shown.map(|key| ("key".to_owned(), Value::String(key))));
    shown
}
