//! Issues licences: one, or a batch of equal ones.

use countersign::field::FieldError;
use serde_json::{Map, Value, json};

use super::draft::{Draft, NewKey, Origin, allows_weak_keys, existing_key};
use super::issued::IssuedLicense;
use super::warnings;
use crate::ask::Ask;
use crate::auth::guesses;
use crate::limits::MAX_PAGE_ITEMS;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{Problem, missing};
use crate::write::change::{Change, change};

const ACTION: &str = "license.created";

/// `POST /api/v1/licenses`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let draft = Draft::read(&mut fields)?;
    let allows_weak = allows_weak_keys(&mut fields)?;
    let existing_key = existing_key(ask, &mut fields, allows_weak)?;
    fields.finish()?;
    let mut build = || {
        let (issued, key) = draft.issue(ask, existing_key.clone(), ask.now, Origin::New)?;
        if existing_key.is_some() {
            key.check_is_unused(ask)?;
        }
        let mut change = Change::new();
        issued.insert(&mut change, ACTION);
        let location = format!("/api/v1/licenses/{}", issued.record.id);
        Ok((change, Answer::created(location, Value::Object(view(&issued, key)), issued.revision)))
    };
    if existing_key.is_none() {
        return change(ask, &mut build);
    }
    guesses::watch(ask, || (change(ask, &mut build), 0))
}

/// `POST /api/v1/licenses/batch`: all or none.
pub(crate) fn batch(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let count = fields.integer("count")?.ok_or_else(|| missing("count"))?;
    if !(1..=u64::from(MAX_PAGE_ITEMS)).contains(&count) {
        let detail = format_args!("must be a whole number from 1 to {MAX_PAGE_ITEMS}.");
        return Err(FieldError::new("count", detail).into());
    }
    let draft = Draft::read(&mut fields)?;
    fields.finish()?;
    change(ask, &mut || {
        let mut change = Change::new();
        let mut items = Vec::new();
        for _ in 0..count {
            let (issued, key) = draft.issue(ask, None, ask.now, Origin::New)?;
            issued.insert(&mut change, ACTION);
            items.push(Value::Object(view(&issued, key)));
        }
        let answer = Answer { status: 201, body: json!({ "items": items }), etag: None, location: None };
        Ok((change, answer))
    })
}

/// The licence, with its key if that was generated here: it is shown only this once.
fn view(issued: &IssuedLicense, key: NewKey) -> Map<String, Value> {
    let mut view = issued.view();
    warnings::add(&mut view, &issued.record);
    view.extend(key.generated.map(|key| ("key".to_owned(), Value::String(key))));
    view
}
