//! Keeps a seat: renews its lease.

use countersign::request::Verb;
use countersign::transitions;

use crate::problem::Problem;
use crate::verb::{Weighing, post_weighing, warn_of_soft_limits};
use countersign_app_common::service::{Request, Response};

/// Two reads, and a write if anything changed.
pub(crate) const HEARTBEAT: Weighing = Weighing {
    verb: Verb::Heartbeat,
    event: "heartbeat",
    weigh: |case, state, now| warn_of_soft_limits(transitions::heartbeat(case, state, now)),
};

/// `POST /api/v1/heartbeat`
pub(crate) fn post(http: &Request) -> Result<Response, Problem> {
    post_weighing(&HEARTBEAT, http)
}
