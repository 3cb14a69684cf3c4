//! Adds domains to a licence and removes them.

use countersign::domain::DomainRule;
use countersign::field::FieldError;

use super::{alter, draft};
use crate::ask::Ask;
use crate::wire::Response;
use crate::wire::problem::Problem;

const ACTION: &str = "license.domains-changed";

/// `POST /api/v1/licenses/{id}/domains`: adding what is there is no error.
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let added = draft::domains(&mut fields, &[])?.ok_or_else(|| FieldError::new("domains", "is missing."))?;
    fields.finish()?;
    alter(ask, ACTION, |issued| {
        let domains = &mut issued.record.domains;
        let new: Vec<_> = added.iter().filter(|domain| !domains.contains(domain)).cloned().collect();
        domains.extend(new);
        Ok(())
    })
}

/// `DELETE /api/v1/licenses/{id}/domains/{domain}`: removing what is not there is no error. Without any domain a licence would be for all, so
/// the last one stays.
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Response, Problem> {
    let refuse = |error| FieldError::new("", format_args!("The domain in the path {error}."));
    let removed = DomainRule::parse(&ask.parameters[1]).map_err(refuse)?;
    alter(ask, ACTION, |issued| {
        let domains = &mut issued.record.domains;
        if **domains == [removed.clone()] {
            let detail =
                "has no other entry, and without any the licence would be for all domains. A PATCH can say so.";
            return Err(Problem::Unprocessable(FieldError::new("domains", detail)));
        }
        domains.retain(|domain| *domain != removed);
        Ok(())
    })
}
