//! What is the same for each verb: find the licence, let the rules weigh and change, note what came of it.

use countersign::decide::Case;
use countersign::license::License;
use countersign::request::{self, Request};
use countersign::state::State;
use countersign::time::Timestamp;
use countersign::verdict::{Verdict, Warning};

use crate::answer;
use crate::clock::Stopwatch;
use crate::journal;
use crate::problem::Problem;
use crate::records::{self, Unavailable};
use countersign_app_common::service::{self, Body, Response};
use countersign_app_common::settings;

/// A verb over HTTP: reads the request in the body, and says how long the answer took where the operator wants that told.
pub(crate) fn post(
    verb: request::Verb,
    http: &service::Request,
    // Not generic: there is one copy of this in the component.
    act: &dyn Fn(&Request, &mut Stopwatch) -> Result<Response, Unavailable>,
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
    act: impl FnOnce(&License, &mut Stopwatch) -> Result<(&'static str, T), Unavailable>,
    otherwise: impl FnOnce(&Verdict) -> T,
) -> Result<T, Unavailable> {
    let found = request.key.as_ref().map_or(Ok(None), |key| records::license(key, stopwatch));
    let done = match &found {
        Ok(Some(license)) => act(license, stopwatch),
        Ok(None) => {
            let verdict = Verdict::without_license(request);
            Ok((verdict.code.as_str(), otherwise(&verdict)))
        }
        Err(unavailable) => Err(*unavailable),
    };
    let license = found.as_ref().ok().and_then(Option::as_ref);
    journal::note(event, done.as_ref().map(|(code, _)| *code), license, stopwatch);
    done.map(|(_, answer)| answer)
}

/// A verb whose answer is a verdict.
pub(crate) struct Weighing {
    pub(crate) verb: request::Verb,
    /// What the journal calls it.
    pub(crate) event: &'static str,
    pub(crate) weigh: fn(&Case, &mut State, Timestamp) -> Verdict,
}

/// Two reads and a write at most. `answer` gets the verdict and the licence that it is about.
pub(crate) fn weigh<T>(
    weighing: &Weighing,
    request: &Request,
    stopwatch: &mut Stopwatch,
    answer: impl Fn(&Verdict, Option<&License>) -> T,
) -> Result<T, Unavailable> {
    let act = |license: &License, stopwatch: &mut Stopwatch| {
        let case = Case::new(license, request);
        let verdict = if case.needs_state() {
            records::change(license, stopwatch, |state, now| (weighing.weigh)(&case, state, now))?
        } else {
            (weighing.weigh)(&case, &mut State::default(), stopwatch.now())
        };
        Ok((verdict.code.as_str(), answer(&verdict, Some(license))))
    };
    on_license(weighing.event, request, stopwatch, act, |verdict| answer(verdict, None))
}

/// As [`weigh`], over HTTP.
pub(crate) fn post_weighing(weighing: &Weighing, http: &service::Request) -> Result<Response, Problem> {
    post(weighing.verb, http, &|request, stopwatch| {
        weigh(weighing, request, stopwatch, |verdict, license| self::verdict(verdict, license, request))
    })
}

/// Says of a verdict that counts on a limit how far that can be trusted.
pub(crate) fn warn_of_soft_limits(mut verdict: Verdict) -> Verdict {
    let counts = verdict.seats.is_some() || verdict.remaining.is_some();
    if verdict.is_valid() && counts && records::limits_are_soft() {
        verdict.warnings.push(Warning::LimitIsSoft);
    }
    verdict
}

/// A verdict over HTTP: 404 where there is no licence to give one on.
pub(crate) fn verdict(verdict: &Verdict, license: Option<&License>, request: &Request) -> Response {
    let status = if license.is_some() { 200 } else { 404 };
    answer::json(status, verdict.to_json(license, request).into_bytes())
}
