//! Adds domains to a licence and removes them.

use countersign::domain::DomainRule;
use countersign::field::FieldError;

use super::{alter, draft};
use crate::ask::Ask;
use crate::wire::Response;
use crate::wire::problem::{Problem, missing, unprocessable};

const ACTION: &str = "license.domains-changed";

/// `POST /api/v1/licenses/{id}/domains`: adding a domain twice is not an error.
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let added = draft::domains(&mut fields, &[])?.ok_or_else(|| missing("domains"))?;
    fields.finish()?;
    alter(ask, ACTION, |issued| {
        let domains = &mut issued.record.domains;
        let new: Vec<_> = added.iter().filter(|domain| !domains.contains(domain)).cloned().collect();
        domains.extend(new);
        Ok(())
    })
}

/// `DELETE /api/v1/licenses/{id}/domains/{domain}`: removing an absent domain is not an error. The
/// last domain cannot be removed this way, as a licence without domains is for all domains.
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Response, Problem> {
    let refuse = |error| FieldError::new("", format_args!("The domain in the path {error}."));
    let removed = DomainRule::parse(&ask.parameters[1]).map_err(refuse)?;
    alter(ask, ACTION, |issued| {
        let domains = &mut issued.record.domains;
        if **domains == [removed.clone()] {
            let detail = "has no other entry, and a licence without domains is for all domains. \
                          To make it one, PATCH the licence with an empty list.";
            return Err(unprocessable("domains", detail));
        }
        domains.retain(|domain| *domain != removed);
        Ok(())
    })
}
