//! Consumes some of an allowance, returns some, or reads what is left.

use countersign::decide::Case;
use countersign::field::FieldError;
use countersign::license::License;
use countersign::name::IdempotencyKey;
use countersign::request::{Request, Verb};
use countersign::transitions::{self, KeyReused};
use countersign::verdict::Verdict;

use crate::answer;
use crate::clock::Stopwatch;
use crate::problem::Problem;
use crate::records::{self, Unavailable};
use crate::verb;
use countersign_app_common::service::{self, Response};

/// What came of a request for usage: the verdict with what is left, its licence and, for a change, whether it was made.
pub(crate) type Outcome<'a> = Result<(&'a Verdict, Option<&'a License>, Option<bool>), KeyReused>;

/// `POST /api/v1/usage`, with an `Idempotency-Key` if the caller may send it again.
pub(crate) fn post(http: &service::Request) -> Result<Response, Problem> {
    let key = idempotency_key(http)?;
    verb::post(Verb::Usage, http, &|request, stopwatch| {
        usage(request, key.as_ref(), stopwatch, |outcome| match outcome {
            Ok((verdict, license, applied)) => {
                let status = if license.is_some() { 200 } else { 404 };
                answer::json(status, verdict.to_json_with(license, request, applied).into_bytes())
            }
            Err(KeyReused) => Problem::IdempotencyKeyReused.into(),
        })
    })
}

/// Two reads and, for a change, a write; with an idempotency key one more of each.
pub(crate) fn usage<T>(
    request: &Request,
    key: Option<&IdempotencyKey>,
    stopwatch: &mut Stopwatch,
    answer: impl Fn(Outcome<'_>) -> T,
) -> Result<T, Unavailable> {
    verb::on_license(
        "usage",
        request,
        stopwatch,
        |license, stopwatch| {
            let operation = key.and_then(|key| request.operation(key, &license.id));
            let earlier = operation.as_ref().map_or(Ok(None), |operation| records::applied(operation, stopwatch))?;
            let case = Case::new(license, request);
            let used = records::change(license, stopwatch, |state, now| {
                transitions::usage(&case, state, operation, earlier, now)
            })?;
            let Ok(used) = used else { return Ok(("IDEMPOTENCY_KEY_REUSED", answer(Err(KeyReused)))) };
            if let Some(operation) = operation.filter(|_| used.is_applied && earlier.is_none()) {
                records::remember(operation, stopwatch);
            }
            let (verdict, applied) = (verb::warn_of_soft_limits(used.verdict), request.change.map(|_| used.is_applied));
            Ok((verdict.code.as_str(), answer(Ok((&verdict, Some(license), applied)))))
        },
        |verdict| answer(Ok((verdict, None, None))),
    )
}

/// The header of draft-ietf-httpapi-idempotency-key-header, section 2.1, which is a string in quotes (RFC 9651, section 3.3.3); without
/// quotes, as most send it, it is taken as it stands.
fn idempotency_key(http: &service::Request) -> Result<Option<IdempotencyKey>, Problem> {
    let refuse = |detail: &str| Problem::InvalidRequest(FieldError::new("Idempotency-Key", format_args!("{detail}.")));
    let mut headers = http.headers.iter().filter(|header| header.name == "idempotency-key");
    let Some(header) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(refuse("is given more than once"));
    }
    let text = str::from_utf8(&header.value).map_err(|_| refuse("is not ASCII"))?.trim_ascii();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    IdempotencyKey::parse(text).map(Some).map_err(|error| refuse(&error.to_string()))
}
