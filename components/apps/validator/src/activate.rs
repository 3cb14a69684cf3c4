//! Takes a seat, or the same one again.

use countersign::request::Verb;
use countersign::transitions;

use crate::problem::Problem;
use crate::verb::{Weighing, post_weighing, warn_of_soft_limits};
use countersign_app_common::service::{Request, Response};

/// Two reads, and a write if anything changed.
pub(crate) const ACTIVATE: Weighing = Weighing {
    verb: Verb::Activate,
    event: "activation",
    weigh: |case, state, now| warn_of_soft_limits(transitions::activate(case, state, now)),
};

/// `POST /api/v1/activate`
pub(crate) fn post(http: &Request) -> Result<Response, Problem> {
    post_weighing(&ACTIVATE, http)
}
