//! Gives a licence more time.

use countersign::field::FieldError;
use countersign::license::ExpiryBasis;
use countersign::time::Timestamp;

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
    let duration = fields.integer("durationSeconds")?.map(u32::try_from);
    let until = fields.parse("expiresAt")?;
    fields.finish()?;
    let duration = match duration {
        None => None,
        Some(Ok(seconds @ 1..)) => Some(seconds),
        Some(_) => {
            let detail = format_args!("must be a whole number of seconds, from 1 to {}.", u32::MAX);
            return Err(FieldError::new("durationSeconds", detail).into());
        }
    };
    if duration.is_some() && until.is_some() {
        return Err(FieldError::new("expiresAt", "and `durationSeconds` exclude each other; send one of them.").into());
    }
    alter(ask, "license.renewed", |issued| {
        if let Some(until) = until {
            return renew_until(issued, until);
        }
        let duration = match duration {
            Some(duration) => duration,
            None => policy_duration(issued)?,
        };
        renew_by(issued, duration, ask.now)
    })
}

fn policy_duration(issued: &IssuedLicense) -> Result<u32, Problem> {
    let policy = issued.policy.as_deref().map_or(Ok(None), Policy::load)?;
    policy
        .and_then(|policy| policy.terms.duration_seconds)
        .ok_or_else(|| unprocessable("durationSeconds", "is required, as the licence has no policy with a duration."))
}

fn renew_until(issued: &mut IssuedLicense, until: Timestamp) -> Result<(), Problem> {
    if issued.record.expiry_basis != ExpiryBasis::Issue {
        let detail = "cannot be set, as the licence's time begins with its first use; send `durationSeconds`.";
        return Err(unprocessable("expiresAt", detail));
    }
    match issued.record.expires_at {
        None => Err(unprocessable("expiresAt", "cannot be set by a renewal, as the licence has no end.")),
        Some(end) if until < end => Err(unprocessable("expiresAt", "must not be earlier than the licence's end.")),
        Some(_) => {
            issued.record.expires_at = Some(until);
            Ok(())
        }
    }
}

fn renew_by(issued: &mut IssuedLicense, duration: u32, now: Timestamp) -> Result<(), Problem> {
    let record = &mut issued.record;
    let Some(before) = record.duration_seconds else {
        let end = record.expires_at;
        let end = end.ok_or_else(|| unprocessable("durationSeconds", "cannot be added, as the licence has no end."))?;
        record.expires_at = Some(end.max(now).plus_seconds(duration));
        return Ok(());
    };
    // The time since the end does not count as part of the added time.
    let begun_at = store::state(&record.id)?.begun_at;
    let expired = begun_at.map_or(0, |begun_at| now.unix() - begun_at.plus_seconds(before).unix());
    let total = u64::from(before) + u64::from(duration) + expired.max(0) as u64;
    let total = u32::try_from(total).map_err(|_| {
        unprocessable("durationSeconds", "makes the licence longer than 136 years, the longest possible.")
    })?;
    record.duration_seconds = Some(total);
    Ok(())
}
