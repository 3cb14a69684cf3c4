//! A domain as an option.

use countersign::domain::{DomainError, DomainRule};

/// Reads a domain for a licence. A public suffix, such as `co.uk`, is an error: nobody owns it.
pub(crate) fn registrable(text: &str) -> Result<DomainRule, DomainError> {
    let rule = DomainRule::parse(text)?;
    rule.check_registrable()?;
    Ok(rule)
}
