//! Gives a licence another key. Its seats and usage stay; the old key is refused as a revoked licence's.

use serde_json::Value;

use super::draft::{self, NewKey};
use super::{altered, current};
use crate::ask::Ask;
use crate::wire::Response;
use crate::wire::problem::Problem;
use crate::write::change::change;

/// `POST /api/v1/licenses/{id}/rotate-key`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.optional_fields()?;
    let brought = draft::brought_key(&mut fields)?;
    fields.finish()?;
    change(ask, || {
        let before = current(ask)?;
        let key = match &brought {
            Some(key) => key.clone(),
            None => NewKey::draw(&draft::prefix(&before.record.product)?),
        };
        key.check_is_new()?;
        let mut after = before.clone();
        after.key = key.hash;
        after.record.hint = key.hint;
        let (change, mut answer) = altered(ask, "license.key-rotated", &before, after)?;
        if let (Some(text), Value::Object(body)) = (key.shown, &mut answer.body) {
            body.insert("key".into(), text.into());
        }
        Ok((change, answer))
    })
}
