//! Finds a licence by its key, which is in the body and never in a path: paths are logged.

use countersign::field::FieldError;
use countersign::key::Reading;

use super::get::answer;
use super::issued::IssuedLicense;
use crate::ask::Ask;
use crate::wire::Response;
use crate::wire::problem::{Problem, missing};

/// `POST /api/v1/licenses/lookup`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    let mut fields = ask.fields()?;
    let text = fields.text("key")?.ok_or_else(|| missing("key"))?;
    fields.finish()?;
    let key = Reading::of(&text).map_err(|error| FieldError::new("key", format_args!("{error}.")))?;
    Ok(answer(&IssuedLicense::find_by_key(ask, &key)?))
}
