//! Gives a licence more time.

use countersign::field::FieldError;
use countersign::license::ExpiryBasis;
use countersign::time::Timestamp;

use super::alter;
use crate::ask::Ask;
use crate::host::store;
use crate::resources::licenses::issued::Issued;
use crate::resources::policies::Policy;
use crate::wire::Response;
use crate::wire::problem::Problem;

/// `POST /api/v1/licenses/{id}/renew`: by a duration, its policy's if none is given, counted from its end or from now, whichever is later;
/// or until a moment.
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.optional_fields()?;
    let duration = fields.read("durationSeconds")?;
    let until = fields.parse("expiresAt")?;
    fields.finish()?;
    if duration == Some(0) {
        return Err(FieldError::new("durationSeconds", "must be 1 at least.").into());
    }
    if duration.is_some() && until.is_some() {
        return Err(FieldError::new("expiresAt", "cannot stand beside `durationSeconds`.").into());
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

fn policy_duration(issued: &Issued) -> Result<u32, Problem> {
    let policy = issued.policy.as_deref().map_or(Ok(None), Policy::load)?;
    policy.and_then(|policy| policy.terms.duration_seconds).ok_or_else(|| {
        refuse("durationSeconds", "is needed: the licence has no policy, or its policy has no duration.")
    })
}

fn renew_until(issued: &mut Issued, until: Timestamp) -> Result<(), Problem> {
    if issued.record.expiry_basis != ExpiryBasis::Issue {
        return Err(refuse("expiresAt", "is not for a licence whose time begins with its first use."));
    }
    match issued.record.expires_at {
        None => Err(refuse("expiresAt", "would end a licence that has no end.")),
        Some(end) if until < end => Err(refuse("expiresAt", "is earlier than the licence's end.")),
        Some(_) => {
            issued.record.expires_at = Some(until);
            Ok(())
        }
    }
}

fn renew_by(issued: &mut Issued, duration: u32, now: Timestamp) -> Result<(), Problem> {
    let record = &mut issued.record;
    let Some(before) = record.duration_seconds else {
        let end =
            record.expires_at.ok_or_else(|| refuse("durationSeconds", "is not for a licence that has no end."))?;
        record.expires_at = Some(end.max(now).plus_seconds(duration));
        return Ok(());
    };
    // What is over by now is no part of what is added.
    let over =
        store::state(&record.id)?.begun_at.map_or(0, |begun_at| now.unix() - begun_at.plus_seconds(before).unix());
    let longer = u64::from(before) + u64::from(duration) + over.max(0) as u64;
    let longer =
        u32::try_from(longer).map_err(|_| refuse("durationSeconds", "makes the licence longer than 136 years."))?;
    record.duration_seconds = Some(longer);
    Ok(())
}

fn refuse(field: &str, detail: &str) -> Problem {
    Problem::Unprocessable(FieldError::new(field, detail))
}
