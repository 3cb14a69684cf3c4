//! Takes a seat, or renews the lease of the one that the holder has.

use countersign::request::{Request, Verb};
use countersign::transitions;
use countersign_app_common::problem::Problem;
use countersign_app_common::service::{self, Response};

use crate::context::Context;
use crate::flow::{self, Judged};
use crate::journal;
use crate::unavailable::Unavailable;

/// `POST /api/v1/activate`
pub(crate) fn post(http: &service::Request) -> Result<Response, Problem> {
    let (request, mut context) = flow::begin(Verb::Activate, http)?;
    let judged = activate(&request, &mut context);
    Ok(flow::finish(judged.map(|judged| judged.to_response(&request)), &context))
}

/// Two reads, and a write if anything changed.
pub(crate) fn activate(request: &Request, context: &mut Context) -> Result<Judged, Unavailable> {
    let judged = flow::judge(transitions::activate, request, context);
    journal::note("activation", judged.as_ref().map(Judged::code), context);
    judged.map(Judged::warn_of_soft_limit)
}
