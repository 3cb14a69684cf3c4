//! What is the same for each verb: find the licence, let the rules weigh and change, note what came of it.

use countersign::decide::{judge, needs_state};
use countersign::key::KeyHash;
use countersign::record::License;
use countersign::request::{self, Request};
use countersign::state::State;
use countersign::time::Timestamp;
use countersign::verdict::{Verdict, Warning};

use crate::answer;
use crate::bindings::countersign::license::settings;
use crate::bindings::exports::countersign::license::service::{self, Body, Response};
use crate::clock::Stopwatch;
use crate::journal;
use crate::problem::Problem;
use crate::records::{self, Unavailable};

/// A verb over HTTP: reads the request in the body, and says how long the answer took where the operator wants that told.
pub(crate) fn post(
    verb: request::Verb,
    http: &service::Request,
    act: impl FnOnce(&Request, &mut Stopwatch) -> Result<Response, Unavailable>,
) -> Result<Response, Problem> {
    let mut stopwatch = Stopwatch::start();
    let request = match &http.body {
        Body::Complete(body) => Request::from_json(verb, body).map_err(Problem::InvalidRequest)?,
        Body::TooLarge => return Err(Problem::BodyTooLarge),
        Body::Incomplete => return Err(Problem::IncompleteBody),
    };
    let answered = act(&request, &mut stopwatch);
    let mut response = answered.unwrap_or_else(|Unavailable(reason)| Problem::Unavailable { reason }.into());
    // A setting that cannot be read is no reason to withhold an answer.
    if settings::get("server_timing").is_ok_and(|value| value.as_deref() == Some("true")) {
        answer::add_timing(&mut response, stopwatch.store(), stopwatch.total());
    }
    Ok(response)
}

/// Finds the licence, lets `act` do its work on it, and notes what came of that. Where there is no licence, `otherwise` answers.
pub(crate) fn on_license<T>(
    event: &'static str,
    request: &Request,
    stopwatch: &mut Stopwatch,
    act: impl FnOnce(&License, &KeyHash, &mut Stopwatch) -> Result<(&'static str, T), Unavailable>,
    otherwise: impl FnOnce(&Verdict<'static>) -> T,
) -> Result<T, Unavailable> {
    let found = request.key.as_ref().map_or(Ok(None), |key| records::license(key, stopwatch));
    let done = match (&found, &request.key) {
        (Ok(Some(license)), Some(key)) => act(license, key, stopwatch),
        (Ok(_), _) => {
            let verdict = judge(None, &State::default(), request, stopwatch.now());
            Ok((verdict.code.as_str(), otherwise(&verdict)))
        }
        (Err(unavailable), _) => Err(*unavailable),
    };
    let license = found.as_ref().ok().and_then(Option::as_ref);
    journal::note(event, done.as_ref().map(|(code, _)| *code), license, stopwatch);
    done.map(|(_, answer)| answer)
}

/// A verb whose answer is a verdict. That borrows the licence it is about, so `answer` makes of it what outlives both.
pub(crate) fn weigh<T>(
    event: &'static str,
    request: &Request,
    stopwatch: &mut Stopwatch,
    mut verb: impl for<'a> FnMut(&'a License, &mut State, Timestamp) -> Verdict<'a>,
    answer: impl Fn(&Verdict<'_>) -> T,
) -> Result<T, Unavailable> {
    let act = |license: &License, key: &KeyHash, stopwatch: &mut Stopwatch| {
        let verdict = if needs_state(license, request) {
            records::change(key, stopwatch, |state, now| verb(license, state, now))?
        } else {
            verb(license, &mut State::default(), stopwatch.now())
        };
        Ok((verdict.code.as_str(), answer(&verdict)))
    };
    on_license(event, request, stopwatch, act, &answer)
}

/// Says of a verdict that counts on a limit how far that can be trusted.
pub(crate) fn warn_of_soft_limits(verdict: &mut Verdict<'_>) {
    let counts = verdict.seats.is_some() || verdict.left.is_some();
    if verdict.is_valid() && counts && records::limits_are_soft() {
        verdict.warnings.push(Warning::LimitIsSoft);
    }
}

/// A verdict over HTTP: 404 where there is no licence to give one on.
pub(crate) fn verdict(verdict: &Verdict<'_>, request: &Request) -> Response {
    let status = if verdict.license.is_some() { 200 } else { 404 };
    answer::json(status, verdict.to_json(request))
}
