//! The verb everyone calls: may this run?

use countersign::request::{Request, Verb};
use countersign::verbs;
use countersign::verdict::Verdict;

use crate::bindings::exports::countersign::license::service::{self, Response};
use crate::clock::Stopwatch;
use crate::problem::Problem;
use crate::records::Unavailable;
use crate::verb;

/// `POST /api/v1/validate`
pub(crate) fn post(http: &service::Request) -> Result<Response, Problem> {
    verb::post(Verb::Validate, http, |request, stopwatch| {
        validate(request, stopwatch, |verdict| verb::verdict(verdict, request))
    })
}

/// One read, and a second where the licence counts seats, the request names an allowance, or the licence's time begins later.
pub(crate) fn validate<T>(
    request: &Request,
    stopwatch: &mut Stopwatch,
    answer: impl Fn(&Verdict<'_>) -> T,
) -> Result<T, Unavailable> {
    verb::weigh(
        "validation",
        request,
        stopwatch,
        |license, state, now| verbs::validate(license, state, request, now),
        answer,
    )
}
