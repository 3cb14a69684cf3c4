//! Consumes some of an allowance, returns some, or reads what remains.

use countersign::decide::Case;
use countersign::field::FieldError;
use countersign::name::IdempotencyKey;
use countersign::request::{Request, Verb};
use countersign::transitions::{self, ChangeError, UsageOutcome};
use countersign::verdict::Effect;
use countersign_app_common::problem::Problem;
use countersign_app_common::request::idempotency_key;
use countersign_app_common::service::{self, Response};

use crate::context::Context;
use crate::failure::Failure;
use crate::flow::{self, Judged};
use crate::journal;
use crate::store::{self, Remembered};
use crate::unavailable::Unavailable;

/// The verdict with what remains and, if a change was requested, its effect.
pub(crate) struct Usage {
    pub(crate) judged: Judged,
    pub(crate) effect: Option<Effect>,
}

pub(crate) enum UsageError {
    /// The idempotency key was used for a different change.
    KeyReused,
    Failure(Failure),
}

/// `POST /api/v1/usage`, with an `Idempotency-Key` if the caller may retry it.
pub(crate) fn post(http: &service::Request) -> Result<Response, Problem> {
    let key = idempotency_key(&http.headers)?;
    let (request, mut context) = flow::begin(Verb::Usage, http)?;
    let usage = usage(&request, key.as_ref(), &mut context);
    Ok(flow::finish(usage.map(|usage| usage.judged.to_response_with(&request, usage.effect)), &context))
}

/// Two reads, and a write for a change; with an idempotency key one more of each.
pub(crate) fn usage(
    request: &Request,
    key: Option<&IdempotencyKey>,
    context: &mut Context,
) -> Result<Usage, UsageError> {
    let usage = flow::confirm(context, |usage: &Usage| usage.judged.holds(), |context| change(request, key, context));
    let code = match &usage {
        Ok(usage) => Ok(usage.judged.code()),
        Err(UsageError::KeyReused) => Ok("IDEMPOTENCY_KEY_REUSED"),
        Err(UsageError::Failure(failure)) => failure.code(),
    };
    journal::note("usage", code, context);
    usage
}

fn change(request: &Request, key: Option<&IdempotencyKey>, context: &mut Context) -> Result<Usage, UsageError> {
    let license = match flow::find(request, context)? {
        Ok(license) => license,
        Err(judged) => return Ok(Usage { judged, effect: None }),
    };
    let operation = key.and_then(|key| request.operation(key, &license.id));
    let remembered = match &operation {
        Some(operation) => Some(Remembered::read(operation, &license.id, context)?),
        None => None,
    };
    let earlier = operation.zip(remembered.as_ref()).and_then(|(operation, remembered)| remembered.find(&operation));
    let case = Case::new(&license, request);
    let UsageOutcome { verdict, effect } =
        store::change(&license.id, context, |state, now| transitions::usage(&case, state, operation, earlier, now))??;
    if let Some((operation, remembered)) = operation.zip(remembered)
        && effect.is_applied
        && !effect.is_repeat
    {
        remembered.add(operation, context);
    }
    let verdict = verdict.stale_for(context.stale_seconds());
    let judged = Judged { verdict, license: Some(license) };
    Ok(Usage { judged: judged.warn_of_soft_limit(), effect: request.change().map(|_| effect) })
}

impl From<ChangeError> for UsageError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::KeyReused => Self::KeyReused,
            ChangeError::NotReturned => {
                let detail = "cannot be used, as only the vendor returns usage of this allowance.";
                Self::Failure(FieldError::new("return", detail).into())
            }
        }
    }
}

impl From<Unavailable> for UsageError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Failure(unavailable.into())
    }
}

impl From<UsageError> for Problem {
    fn from(error: UsageError) -> Self {
        match error {
            UsageError::KeyReused => Self::IDEMPOTENCY_KEY_REUSED,
            UsageError::Failure(failure) => failure.into(),
        }
    }
}
