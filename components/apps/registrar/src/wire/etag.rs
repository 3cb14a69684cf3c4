//! Entity tags: RFC 9110, sections 8.8.3 and 13.1.1.

use countersign::field::FieldError;

/// The tag of a resource's revision.
pub(crate) fn of(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// What the condition `If-Match` says of a resource. Of several tags, the first in this order
/// counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Comparison {
    /// It holds.
    Current,
    /// It names the current revision by a weak tag only. `If-Match` uses the strong comparison, by
    /// which a weak tag never matches (section 13.1.1).
    Weak,
    /// It names other revisions only.
    Other,
}

/// Compares the header `If-Match` with a resource's revision.
///
/// # Errors
/// If the header is not a list of entity tags. Empty elements are ignored (section 5.6.1).
pub(crate) fn compare(if_match: &str, revision: u64) -> Result<Comparison, FieldError> {
    if if_match.trim_ascii() == "*" {
        return Ok(Comparison::Current);
    }
    let refuse = || FieldError::new("If-Match", r#"must be `*` or a list of entity tags such as "7"."#);
    let current = of(revision);
    let mut found = None;
    for tag in if_match.split(',').map(str::trim_ascii).filter(|tag| !tag.is_empty()) {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        let text = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(refuse)?;
        if text.contains('"') {
            return Err(refuse());
        }
        let comparison = match opaque == current {
            true if tag == opaque => Comparison::Current,
            true => Comparison::Weak,
            false => Comparison::Other,
        };
        found = Some(found.map_or(comparison, |found: Comparison| found.min(comparison)));
    }
    found.ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_holds_for_the_revision_that_it_names() {
        use Comparison::{Current, Other, Weak};
        for (if_match, expected) in [
            ("*", Some(Current)),
            ("\"7\"", Some(Current)),
            (" \"6\" , \"7\" ", Some(Current)),
            ("\"7\",", Some(Current)),
            ("W/\"7\", \"7\"", Some(Current)),
            ("\"6\"", Some(Other)),
            ("\"\"", Some(Other)),
            ("W/\"6\"", Some(Other)),
            ("W/\"7\"", Some(Weak)),
            ("\"6\", W/\"7\"", Some(Weak)),
            ("7", None),
            ("\"7", None),
            ("w/\"7\"", None),
            ("\"7\" \"8\"", None),
            ("", None),
            (",", None),
        ] {
            assert_eq!(compare(if_match, 7).ok(), expected, "{if_match}");
        }
    }
}
