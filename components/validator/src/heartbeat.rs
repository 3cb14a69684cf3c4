//! Keeps a seat: renews its lease.

use countersign::request::{Request, Verb};
use countersign::verbs;
use countersign::verdict::Verdict;

use crate::bindings::exports::countersign::license::service::{self, Response};
use crate::clock::Stopwatch;
use crate::problem::Problem;
use crate::records::Unavailable;
use crate::verb;

/// `POST /api/v1/heartbeat`
pub(crate) fn post(http: &service::Request) -> Result<Response, Problem> {
    verb::post(Verb::Heartbeat, http, |request, stopwatch| {
        heartbeat(request, stopwatch, |verdict| verb::verdict(verdict, request))
    })
}

/// Two reads, and a write if anything changed.
pub(crate) fn heartbeat<T>(
    request: &Request,
    stopwatch: &mut Stopwatch,
    answer: impl Fn(&Verdict<'_>) -> T,
) -> Result<T, Unavailable> {
    verb::weigh(
        "heartbeat",
        request,
        stopwatch,
        |license, state, now| {
            let mut verdict = verbs::heartbeat(license, state, request, now);
            verb::warn_of_soft_limits(&mut verdict);
            verdict
        },
        answer,
    )
}
