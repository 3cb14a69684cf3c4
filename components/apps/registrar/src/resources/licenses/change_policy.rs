//! Gives a licence the terms of another policy.

use countersign::field::FieldError;
use countersign::license::ExpiryBasis;

use super::alter;
use crate::ask::Ask;
use crate::host::store;
use crate::resources::policies::Policy;
use crate::wire::Response;
use crate::wire::problem::Problem;

/// `POST /api/v1/licenses/{id}/change-policy`: its key, domains, owner and metadata stay, and its dates as far as the new terms have room for
/// them.
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let id = fields.text("policy")?.ok_or_else(|| FieldError::new("policy", "is missing."))?;
    fields.finish()?;
    alter(ask, "license.policy-changed", |issued| {
        let refuse = |detail| Problem::Unprocessable(FieldError::new("policy", detail));
        let policy = Policy::load(&id)?.ok_or_else(|| refuse("names no policy."))?;
        if policy.product != issued.record.product {
            return Err(refuse("is for another product."));
        }
        let (terms, before) = (&policy.terms, issued.record.clone());
        issued.policy = Some(id.clone());
        issued.set_terms(terms);
        if terms.expiry_basis != ExpiryBasis::Issue {
            issued.record.expires_at = None;
        } else if before.expiry_basis != ExpiryBasis::Issue {
            // What was to end some time after its first use ends then, if that was made.
            let end = before.ends_at(store::state(&before.id)?.begun_at);
            let end = end.or_else(|| terms.duration_seconds.map(|duration| ask.now.plus_seconds(duration)));
            issued.record.expires_at = end;
        }
        Ok(())
    })
}
