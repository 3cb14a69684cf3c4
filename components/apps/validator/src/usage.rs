//! Consumes some of an allowance, returns some, or reads what remains.

use countersign::decide::Case;
use countersign::name::IdempotencyKey;
use countersign::request::{Request, Verb};
use countersign::transitions::{self, KeyReused};
use countersign_app_common::problem::Problem;
use countersign_app_common::request::idempotency_key;
use countersign_app_common::service::{self, Response};

use crate::context::Context;
use crate::flow::{self, Judged};
use crate::journal;
use crate::store;
use crate::unavailable::Unavailable;

/// The verdict with what remains and, if a change was requested, whether it was applied.
pub(crate) struct Usage {
    pub(crate) judged: Judged,
    pub(crate) applied: Option<bool>,
}

pub(crate) enum UsageError {
    /// The idempotency key was used for a different change.
    KeyReused,
    Unavailable(Unavailable),
}

/// `POST /api/v1/usage`, with an `Idempotency-Key` if the caller may retry it.
pub(crate) fn post(http: &service::Request) -> Result<Response, Problem> {
    let key = idempotency_key(&http.headers)?;
    let (request, mut context) = flow::begin(Verb::Usage, http)?;
    let usage = usage(&request, key.as_ref(), &mut context);
    Ok(flow::finish(usage.map(|usage| usage.judged.to_response_with(&request, usage.applied)), &context))
}

/// Two reads, and a write for a change; with an idempotency key one more of each.
pub(crate) fn usage(
    request: &Request,
    key: Option<&IdempotencyKey>,
    context: &mut Context,
) -> Result<Usage, UsageError> {
    let usage = change(request, key, context);
    let code = match &usage {
        Ok(usage) => Ok(usage.judged.code()),
        Err(UsageError::KeyReused) => Ok("IDEMPOTENCY_KEY_REUSED"),
        Err(UsageError::Unavailable(unavailable)) => Err(unavailable),
    };
    journal::note("usage", code, context);
    usage
}

fn change(request: &Request, key: Option<&IdempotencyKey>, context: &mut Context) -> Result<Usage, UsageError> {
    let Some(license) = store::license(request, context)? else {
        return Ok(Usage { judged: Judged::without_license(request), applied: None });
    };
    let operation = key.and_then(|key| request.operation(key, &license.id));
    let earlier = match &operation {
        Some(operation) => store::applied(operation, context)?,
        None => None,
    };
    let case = Case::new(&license, request);
    let outcome =
        store::change(&license.id, context, |state, now| transitions::usage(&case, state, operation, earlier, now))??;
    if let Some(operation) = operation.filter(|_| outcome.is_applied && earlier.is_none()) {
        store::remember(operation, context);
    }
    let judged = Judged { verdict: outcome.verdict, license: Some(license) };
    Ok(Usage { judged: judged.warn_of_soft_limit(), applied: request.change().map(|_| outcome.is_applied) })
}

impl From<KeyReused> for UsageError {
    fn from(KeyReused: KeyReused) -> Self {
        Self::KeyReused
    }
}

impl From<Unavailable> for UsageError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<UsageError> for Problem {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::KeyReused => Self::IDEMPOTENCY_KEY_REUSED,
            UsageError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}
