//! Decides whether the program may run: the verb of nearly every request.

use countersign::request::{Request, Verb};
use countersign::transitions;
use countersign_app_common::problem::Problem;
use countersign_app_common::service::{self, Response};

use crate::context::Context;
use crate::flow::{self, Judged};
use crate::journal;
use crate::unavailable::Unavailable;

/// `POST /api/v1/validate`
pub(crate) fn post(http: &service::Request) -> Result<Response, Problem> {
    let (request, mut context) = flow::begin(Verb::Validate, http)?;
    let judged = validate(&request, &mut context);
    Ok(flow::finish(judged.map(|judged| judged.to_response(&request)), &context))
}

/// One read, and a second if the licence counts seats, the request names an allowance, or the
/// licence's duration starts with its first use. Only the verdict that starts the duration writes.
pub(crate) fn validate(request: &Request, context: &mut Context) -> Result<Judged, Unavailable> {
    let judged = flow::judge(transitions::validate, request, context);
    journal::note("validation", judged.as_ref().map(Judged::code), context);
    judged
}
