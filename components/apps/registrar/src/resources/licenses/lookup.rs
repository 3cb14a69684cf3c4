//! Finds the licence of a key, which stands in the body and never in a path.

use countersign::field::FieldError;
use countersign::key;

use super::get::shown;
use crate::ask::Ask;
use crate::resources::licenses::issued::Issued;
use crate::wire::Response;
use crate::wire::problem::Problem;

/// `POST /api/v1/licenses/lookup`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    let mut fields = ask.fields()?;
    let given = fields.text("key")?.ok_or_else(|| FieldError::new("key", "is missing."))?;
    fields.finish()?;
    let key = key::read(&given).map_err(|error| FieldError::new("key", format_args!("{error}.")))?;
    Ok(shown(&Issued::find_by_key(ask, &key)?))
}
