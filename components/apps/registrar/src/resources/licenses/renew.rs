//! Gives a licence more time.

use countersign::field::FieldError;
use countersign::license::ExpiryBasis;
use countersign::span::Span;
use countersign::time::{End, Timestamp};
use countersign_app_common::fields::Fields;

use super::alter;
use super::issued::IssuedLicense;
use crate::ask::Ask;
use crate::host::store;
use crate::resources::policies::Policy;
use crate::wire::Response;
use crate::wire::problem::{Problem, unprocessable};

/// `POST /api/v1/licenses/{id}/renew`: until a moment, or by a duration, which is the policy's by
/// default. A duration counts from the licence's end or from now, whichever is later.
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.optional_fields()?;
    let span = span(&mut fields)?;
    let until = fields.parse("expiresAt")?.map(|End(end)| end);
    fields.finish()?;
    if span.is_some() && until.is_some() {
        return Err(FieldError::new("expiresAt", "and a duration exclude each other; send one of them.").into());
    }
    alter(ask, "license.renewed", |issued| {
        if let Some(until) = until {
            return renew_until(issued, until);
        }
        let span = match span {
            Some(span) => span,
            None => policy_span(issued)?,
        };
        renew_by(issued, span, ask.now)
    })
}

/// `duration` or `durationSeconds`
fn span(fields: &mut Fields) -> Result<Option<Span>, FieldError> {
    let span = fields.parse("duration")?;
    let Some(seconds) = fields.integer("durationSeconds")? else { return Ok(span) };
    if span.is_some() {
        return Err(FieldError::new("duration", "and `durationSeconds` exclude each other; send one of them."));
    }
    let of_seconds = u32::try_from(seconds).ok().and_then(Span::of_seconds);
    let detail = format_args!("must be a whole number of seconds, from 1 to {}.", u32::MAX);
    of_seconds.map(Some).ok_or_else(|| FieldError::new("durationSeconds", detail))
}

fn policy_span(issued: &IssuedLicense) -> Result<Span, Problem> {
    let policy = issued.policy.as_deref().map_or(Ok(None), Policy::load)?;
    policy.and_then(|policy| policy.terms.lasts()).ok_or_else(|| {
        unprocessable("durationSeconds", "or `duration` is required, as the licence has no policy with a duration.")
    })
}

fn renew_until(issued: &mut IssuedLicense, until: Timestamp) -> Result<(), Problem> {
    if issued.record.expiry_basis != ExpiryBasis::Issue {
        let detail = "cannot be set, as the licence's time begins with its first use; send a duration.";
        return Err(unprocessable("expiresAt", detail));
    }
    match issued.record.expires_at {
        None => Err(unprocessable("expiresAt", "cannot be set by a renewal, as the licence has no end.")),
        Some(end) if until < end => Err(unprocessable("expiresAt", "must not be earlier than the licence's end.")),
        Some(_) => {
            issued.record.set_end(Some(until));
            Ok(())
        }
    }
}

fn renew_by(issued: &mut IssuedLicense, span: Span, now: Timestamp) -> Result<(), Problem> {
    let record = &mut issued.record;
    let Some(before) = record.lasts() else {
        let end = record.expires_at;
        let end = end.ok_or_else(|| unprocessable("durationSeconds", "cannot be added, as the licence has no end."))?;
        record.extend(end.max(now), span);
        return Ok(());
    };
    let total = match store::state(&record.id)?.begun_at.filter(|begun_at| before.after(*begun_at) < now) {
        None => before.plus(span),
        // The time since the end does not count as part of the added time.
        Some(begun_at) => {
            let months = before.months().saturating_add(span.months());
            let of_months = Span::new(months, 0).map_or(begun_at, |months| months.after(begun_at));
            let rest = span.after(now).unix() - of_months.unix();
            u32::try_from(rest.max(0)).ok().and_then(|seconds| Span::new(months, seconds))
        }
    };
    let total = total.ok_or_else(|| {
        unprocessable("durationSeconds", "makes the licence longer than 136 years, the longest possible.")
    })?;
    record.set_lasts(total);
    Ok(())
}
