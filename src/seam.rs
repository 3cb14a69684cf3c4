//! The rules on what crosses the seams, shared by all adapters and shells.

use crate::limits::{MAX_LIST_KEYS, MAX_SETTING_NAME_BYTES, MAX_STORE_KEY_BYTES};
use alloc::{string::String, vec::Vec};

/// Whether `store` accepts this key: 1 to 200 bytes from `[A-Za-z0-9:_-]`.
pub fn is_store_key(key: &str) -> bool {
    (1..=MAX_STORE_KEY_BYTES).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-'))
}

/// The page of `store.list-keys` that these ordered keys begin with, and its last key as the cursor
/// if more follow. `limit` is clamped to 1 to 1,000.
pub fn page(mut keys: Vec<String>, limit: u32) -> (Vec<String>, Option<String>) {
    let limit = limit.clamp(1, MAX_LIST_KEYS) as usize;
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next = keys.last().filter(|_| more).cloned();
    (keys, next)
}

/// Whether `settings` accepts this name: 1 to 64 bytes from `[a-z0-9_]`, the first a letter.
pub fn is_setting_name(name: &str) -> bool {
    name.len() <= MAX_SETTING_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Whether a shell passes on this header of a request, whose name is in lower case: those that
/// `wit/service.wit` lists. Copying others would cost time, and no component reads them.
pub fn is_passed_header(name: &str) -> bool {
    matches!(
        name,
        "accept-signature"
            | "authorization"
            | "content-type"
            | "idempotency-key"
            | "if-match"
            | "if-none-match"
            | "traceparent"
            | "x-request-id"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{format, vec};

    #[test]
    fn a_store_key_has_1_to_200_of_the_allowed_bytes() {
        assert!(is_store_key("license:0aF_-"));
        assert!(is_store_key(&"k".repeat(200)));
        for refused in ["", "a b", "a/b", "ä", "a\n", &"k".repeat(201)] {
            assert!(!is_store_key(refused), "{refused:?}");
        }
    }

    #[test]
    fn a_page_has_a_cursor_only_if_more_follow() {
        let keys = |count| (0..count).map(|number| format!("key{number}")).collect::<Vec<_>>();
        assert_eq!(page(keys(0), 2), (vec![], None));
        assert_eq!(page(keys(2), 2), (keys(2), None));
        assert_eq!(page(keys(3), 2), (keys(2), Some("key1".into())));
        assert_eq!(page(keys(2), 0), (keys(1), Some("key0".into())));
        assert_eq!(page(keys(1_001), u32::MAX).0.len(), 1_000);
    }

    #[test]
    fn a_setting_name_has_1_to_64_of_the_allowed_bytes() {
        assert!(is_setting_name("server_timing"));
        assert!(is_setting_name(&"n".repeat(64)));
        for refused in ["", "Server", "1st", "_x", "a-b", &"n".repeat(65)] {
            assert!(!is_setting_name(refused), "{refused:?}");
        }
    }
}
