//! The verb everyone calls: may this run?

use countersign::request::Verb;
use countersign::transitions;

use crate::problem::Problem;
use crate::verb::{Weighing, post_weighing};
use countersign_app_common::service::{Request, Response};

/// One read, and a second where the licence counts seats, the request names an allowance, or the licence's time begins later.
pub(crate) const VALIDATE: Weighing =
    Weighing { verb: Verb::Validate, event: "validation", weigh: transitions::validate };

/// `POST /api/v1/validate`
pub(crate) fn post(http: &Request) -> Result<Response, Problem> {
    post_weighing(&VALIDATE, http)
}
