//! Gives a licence the terms of another policy.

use countersign::license::ExpiryBasis;

use super::alter;
use crate::ask::Ask;
use crate::host::store;
use crate::resources::policies::Policy;
use crate::wire::Response;
use crate::wire::problem::{Problem, missing, unprocessable};

/// `POST /api/v1/licenses/{id}/change-policy`: the licence keeps its key, domains, owner and
/// metadata, and its dates if the new terms allow them.
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let id = fields.text("policy")?.ok_or_else(|| missing("policy"))?;
    fields.finish()?;
    alter(ask, "license.policy-changed", |issued| {
        let policy = Policy::named(ask, &id)?;
        if policy.product != issued.record.product {
            return Err(unprocessable("policy", "must be a policy of the licence's product."));
        }
        let (terms, before) = (&policy.terms, issued.record.clone());
        issued.policy = Some(id.clone());
        issued.set_terms(terms);
        if terms.expiry_basis != ExpiryBasis::Issue {
            issued.record.set_end(None);
        } else if before.expiry_basis != ExpiryBasis::Issue {
            // The licence keeps the end that its first use set. If it was not used, its time begins
            // now.
            let end = before.ends_at(store::state(&before.id)?.begun_at);
            match (end, terms.lasts()) {
                (None, Some(span)) => issued.record.extend(ask.now, span),
                (end, _) => issued.record.set_end(end),
            }
        }
        Ok(())
    })
}
