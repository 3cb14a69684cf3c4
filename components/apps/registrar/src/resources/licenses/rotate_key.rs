//! Gives a licence another key. Its seats and usage stay; the old key is refused as revoked.

use serde_json::Value;

use super::draft::{self, NewKey};
use super::{current, replace};
use crate::ask::Ask;
use crate::auth::guesses;
use crate::wire::Response;
use crate::wire::problem::Problem;
use crate::write::change::change;

/// `POST /api/v1/licenses/{id}/rotate-key`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.optional_fields()?;
    let allows_weak = draft::allows_weak_keys(&mut fields)?;
    let existing_key = draft::existing_key(ask, &mut fields, allows_weak)?;
    fields.finish()?;
    let mut build = || {
        let before = current(ask)?;
        let key = match &existing_key {
            Some(key) => key.clone(),
            None => NewKey::generate(&draft::key_prefix(&before.record.product)?),
        };
        key.check_is_unused(ask)?;
        let mut after = before.clone();
        after.key = key.hash;
        after.weak_key = key.is_weak;
        after.is_key_generated = key.generated.is_some();
        after.record.hint = key.hint;
        let (change, mut answer) = replace(ask, "license.key-rotated", &before, after)?;
        if let (Some(text), Value::Object(body)) = (key.generated, &mut answer.body) {
            body.insert("key".into(), text.into());
        }
        Ok((change, answer))
    };
    if existing_key.is_none() {
        return change(ask, &mut build);
    }
    guesses::watch(ask, || (change(ask, &mut build), 0))
}
