//! Entity tags: RFC 9110, sections 8.8.3 and 13.1.1.

use countersign::field::FieldError;

/// The tag of a resource's revision.
pub(crate) fn of(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// Whether the condition `If-Match` holds for a resource of this revision.
///
/// # Errors
/// If the header is not a list of entity tags.
pub(crate) fn matches(if_match: &str, revision: u64) -> Result<bool, FieldError> {
    if if_match.trim_ascii() == "*" {
        return Ok(true);
    }
    let refuse = || FieldError::new("If-Match", r#"must be `*` or a list of entity tags such as "7"."#);
    let current = of(revision);
    let mut is_current = false;
    for tag in if_match.split(',').map(str::trim_ascii) {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        let text = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(refuse)?;
        if text.contains('"') {
            return Err(refuse());
        }
        // A weak tag never matches: `If-Match` uses the strong comparison.
        is_current |= tag == current;
    }
    Ok(is_current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_holds_for_the_revision_that_it_names() {
        for (if_match, expected) in [
            ("*", Some(true)),
            ("\"7\"", Some(true)),
            (" \"6\" , \"7\" ", Some(true)),
            ("\"6\"", Some(false)),
            ("\"\"", Some(false)),
            ("W/\"7\"", Some(false)),
            ("7", None),
            ("\"7", None),
            ("\"7\" \"8\"", None),
            ("", None),
            ("\"7\",", None),
        ] {
            assert_eq!(matches(if_match, 7).ok(), expected, "{if_match}");
        }
    }
}
