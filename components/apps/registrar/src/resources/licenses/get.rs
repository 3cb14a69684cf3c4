//! Shows a licence.

use serde_json::Value;

use crate::ask::Ask;
use crate::resources::licenses::issued::Issued;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::Problem;

/// `GET /api/v1/licenses/{id}`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    Ok(shown(&Issued::find(ask, &ask.parameters[0])?))
}

/// A licence as the answer to who reads it.
pub(super) fn shown(issued: &Issued) -> Response {
    Answer::ok(Value::Object(issued.shown()), issued.revision).into()
}
