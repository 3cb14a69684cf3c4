//! Shows a licence.

use serde_json::Value;

use crate::answer::Answer;
use crate::ask::Ask;
use crate::bindings::exports::countersign::license::service::Response;
use crate::license::Issued;
use crate::problem::Problem;

/// `GET /api/v1/licenses/{id}`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    Ok(shown(&Issued::find(ask, &ask.parameters[0])?))
}

/// A licence as the answer to who reads it.
pub(super) fn shown(issued: &Issued) -> Response {
    Answer::ok(Value::Object(issued.shown()), issued.revision).into()
}
