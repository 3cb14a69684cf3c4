//! Shows a licence.

use serde_json::Value;

use super::issued::IssuedLicense;
use crate::ask::Ask;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::Problem;

/// `GET /api/v1/licenses/{id}`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    Ok(answer(&IssuedLicense::find(ask, &ask.parameters[0])?))
}

pub(super) fn answer(issued: &IssuedLicense) -> Response {
    Answer::ok(Value::Object(issued.view()), issued.revision).into()
}
