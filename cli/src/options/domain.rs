//! Domains as options.

use countersign::domain::{DomainError, DomainRule};

/// A domain that somebody can own, for a licence.
pub(crate) fn registrable(text: &str) -> Result<DomainRule, DomainError> {
    let rule = DomainRule::parse(text)?;
    rule.check_registrable()?;
    Ok(rule)
}
