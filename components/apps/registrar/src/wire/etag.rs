//! Entity tags: RFC 9110, sections 8.8.3 and 13.1.1.

/// The tag of a resource's revision.
pub(crate) fn of(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// Whether what `If-Match` says holds for the resource that has this revision; `None` if it says nothing that can be understood.
pub(crate) fn matches(if_match: &str, revision: u64) -> Option<bool> {
    if if_match.trim_ascii() == "*" {
        return Some(true);
    }
    let current = of(revision);
    let mut found = false;
    for tag in if_match.split(',').map(str::trim_ascii) {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        let text = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))?;
        if text.contains('"') {
            return None;
        }
        // A weak tag matches none: the comparison is the strong one.
        found |= tag == current;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precondition_names_revisions() {
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
            assert_eq!(matches(if_match, 7), expected, "{if_match}");
        }
    }
}
