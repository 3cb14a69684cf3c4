//! The forms of the names that cross `store` and `settings`, checked alike by every adapter.

use crate::limits::{MAX_SETTING_NAME_BYTES, MAX_STORE_KEY_BYTES};

/// Whether this is a key of `store`: 1 to 200 bytes from `[A-Za-z0-9:_-]`.
pub fn is_store_key(key: &str) -> bool {
    (1..=MAX_STORE_KEY_BYTES).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-'))
}

/// Whether this is a name of `settings`: 1 to 64 bytes from `[a-z0-9_]`, beginning with a letter.
pub fn is_setting_name(name: &str) -> bool {
    name.len() <= MAX_SETTING_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_keys() {
        assert!(is_store_key("license:0aF_-"));
        assert!(is_store_key(&"k".repeat(200)));
        for refused in ["", "a b", "a/b", "ä", "a\n", &"k".repeat(201)] {
            assert!(!is_store_key(refused), "{refused:?}");
        }
    }

    #[test]
    fn setting_names() {
        assert!(is_setting_name("server_timing"));
        assert!(is_setting_name(&"n".repeat(64)));
        for refused in ["", "Server", "1st", "_x", "a-b", &"n".repeat(65)] {
            assert!(!is_setting_name(refused), "{refused:?}");
        }
    }
}
