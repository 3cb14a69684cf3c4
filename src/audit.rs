//! The hash chain of events. Each event is hashed with the hash of the one before it, so changing,
//! removing or moving one changes the hash of every later event.

use crate::{hash::sha256, text::to_json};
use serde_json::Value;

/// The hash before the first event.
pub const BEGINNING: [u8; 32] = [0; 32];

/// The hash of an event: SHA-256 over the 32 bytes of the previous event's hash and the event as
/// JSON.
///
/// The event has no members `hash` and `previous`. It is written in the canonical form of RFC 8785:
/// members sorted by name, no white space. `serde_json` writes that form if names are ASCII and
/// numbers are integers, as in every event.
pub fn link(previous: &[u8; 32], event: &Value) -> [u8; 32] {
    link_canonical(previous, to_json(event).as_bytes())
}

/// As [`link`], for an event that is already written in its canonical form.
pub fn link_canonical(previous: &[u8; 32], event: &[u8]) -> [u8; 32] {
    sha256([previous, event])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::string::ToString;

    /// This hash never changes: events written by any version must verify with every other.
    #[test]
    fn an_event_has_the_same_hash_in_every_version() {
        let event = json!({
            "number": 1, "id": "evt_00000000000000000000000000", "at": "2026-11-22T10:00:00Z", "actor": "operator",
            "action": "license.updated", "subject": "lic_00000000000000000000000000", "requestId": "req_1",
            "before": { "owner": "Zoë \"Z\"\n", "domains": ["example.com"], "versions": null },
            "after": { "owner": "\u{1f}/é\u{2028}", "maxDomains": 5, "features": [], "active": true },
        });
        let canonical = concat!(
            r#"{"action":"license.updated","actor":"operator","after":{"active":true,"features":[],"maxDomains":5,"owner":"\u001f/é"#,
            "\u{2028}",
            r#""},"at":"2026-11-22T10:00:00Z","before":{"domains":["example.com"],"owner":"Zoë \"Z\"\n","versions":null},"#,
            r#""id":"evt_00000000000000000000000000","number":1,"requestId":"req_1","subject":"lic_00000000000000000000000000"}"#,
        );
        assert_eq!(event.to_string(), canonical);
        let first = link(&BEGINNING, &event);
        assert_eq!(crate::hex::encode(&first), "aa40dcf1bdcf800b87acb6f26a816c6a008b5898eb99743f142c2d8f8604c1d7");
        assert_ne!(link(&first, &event), first);
    }
}
