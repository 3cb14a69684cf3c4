//! The steps that verbs share, in the order in which they take them.

use countersign::decide::Case;
use countersign::license::License;
use countersign::request::{Request, Verb};
use countersign::state::State;
use countersign::time::Timestamp;
use countersign::verdict::{Code, Effect, Verdict};
use countersign_app_common::answer::{add, with_body};
use countersign_app_common::problem::Problem;
use countersign_app_common::service::{self, Response};
use countersign_app_common::store::Freshness;
use countersign_app_common::{request, settings};

use crate::answer;
use crate::context::Context;
use crate::store;
use crate::unavailable::Unavailable;

/// Reads a verb's request from a body, which is JSON or a form.
pub(crate) fn begin(verb: Verb, http: &service::Request) -> Result<(Request, Context), Problem> {
    let context = Context::start();
    let (media_type, body) = (request::media_type(&http.headers)?, request::body(http)?);
    let is_form = request::is_form(media_type, body);
    let request = if is_form { Request::from_form(verb, body)? } else { Request::from_json(verb, body)? };
    Ok((request, context))
}

/// A verdict, and the licence that the answer may tell about.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) license: Option<License>,
}

/// Makes an answer from the store as it is. If that grants nothing, and may be out of date, makes
/// it again from the store as it is confirmed: nobody is refused for what has changed since.
///
/// # Errors
///
/// Those of `answer`, and `unconfirmed` if the store could not confirm what would refuse.
pub(crate) fn confirm<T, E: From<Unavailable>>(
    context: &mut Context,
    grants: impl Fn(&T) -> bool,
    mut answer: impl FnMut(&mut Context) -> Result<T, E>,
) -> Result<T, E> {
    let first = answer(context);
    let is_granted = |answer: &Result<T, E>| answer.as_ref().is_ok_and(&grants);
    // A change that was made, or may have been, is not made again.
    if context.age_seconds == 0 || context.may_have_written || is_granted(&first) {
        return first;
    }
    (context.freshness, context.age_seconds, context.is_stale) = (Freshness::Confirmed, 0, false);
    let second = answer(context);
    let is_final = context.may_have_written || is_granted(&second);
    if context.is_stale && !is_final { Err(Unavailable("unconfirmed").into()) } else { second }
}

/// Finds the licence, or the verdict if its key has none. A key that was replaced or deleted finds
/// the record of a revoked licence, and nobody learns more from it than that. One read.
pub(crate) fn find(request: &Request, context: &mut Context) -> Result<Result<License, Judged>, Unavailable> {
    Ok(match store::license(request, context)? {
        None => Err(Judged { verdict: Verdict::without_license(request), license: None }),
        Some(license) if license.is_revoked() => Err(Judged { verdict: Verdict::REVOKED, license: None }),
        Some(license) => Ok(license),
    })
}

/// Finds the licence, applies the transition to its state, and returns the verdict: two reads and a
/// write at most.
pub(crate) fn judge(
    transition: fn(&Case<'_>, &mut State, Timestamp) -> Verdict,
    request: &Request,
    context: &mut Context,
) -> Result<Judged, Unavailable> {
    confirm(context, Judged::holds, |context| {
        let license = match find(request, context)? {
            Ok(license) => license,
            Err(judged) => return Ok(judged),
        };
        let case = Case::new(&license, request);
        let verdict = if case.needs_state() {
            store::change(&license.id, context, |state, now| transition(&case, state, now))?
        } else {
            transition(&case, &mut State::default(), context.now())
        };
        Ok(Judged { verdict: verdict.stale_for(context.stale_seconds()), license: Some(license) })
    })
}

impl Judged {
    /// Whether nothing that may have changed meanwhile could make the verdict another one that is
    /// better for the holder. A revocation is final.
    pub(crate) fn holds(&self) -> bool {
        self.verdict.is_valid() || self.verdict.code() == Code::Revoked
    }

    /// The verdict's code, as the journal notes it.
    pub(crate) fn code(&self) -> &'static str {
        self.verdict.code().as_str()
    }

    /// Warns the holder of a limit that the store cannot enforce exactly.
    pub(crate) fn warn_of_soft_limit(mut self) -> Self {
        if store::limits_are_soft() {
            self.verdict.warn_of_soft_limit();
        }
        self
    }

    /// The response: 404 if no licence has the key.
    pub(crate) fn to_response(&self, request: &Request) -> Response {
        self.to_response_with(request, None)
    }

    /// As [`to_response`](Self::to_response), with the effect of a change of an allowance.
    pub(crate) fn to_response_with(&self, request: &Request, effect: Option<Effect>) -> Response {
        let status = if matches!(self.verdict.code(), Code::MalformedKey | Code::NotFound) { 404 } else { 200 };
        let body = self.verdict.to_json_with(self.license.as_ref(), request, effect);
        let mut response = with_body(status, "application/json", body.into_bytes());
        if effect.is_some_and(|effect| effect.is_repeat) {
            // As the vendor's API says it.
            add(&mut response, "idempotency-replayed", "true");
        }
        response
    }
}

/// Adds how long the answer took, if the operator's settings say so.
pub(crate) fn finish(answered: Result<Response, impl Into<Problem>>, context: &Context) -> Response {
    let mut response = answered.unwrap_or_else(|error| error.into().into());
    // A setting that cannot be read must not fail the request. It is read each time, so that a
    // change takes effect at once.
    if settings::get("server_timing").is_ok_and(|value| value.as_deref() == Some("true")) {
        answer::add_timing(&mut response, context);
    }
    response
}
