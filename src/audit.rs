//! The chain of events: each is hashed together with the hash of the one before it, so that none can be changed, removed or moved
//! without all that follow being hashed anew.

use crate::{hash::sha256, text::to_json};
use serde_json::Value;

/// What stands before the first event.
pub const BEGINNING: [u8; 32] = [0; 32];

/// The hash of an event: SHA-256 over the 32 bytes of the previous one's hash and the event as JSON.
///
/// The event is without its members `hash` and `previous`, and written in the canonical form of RFC 8785: members sorted by name, no
/// white space. That is how `serde_json` writes objects whose names are ASCII, and numbers that are whole; an event has no others.
pub fn link(previous: &[u8; 32], event: &Value) -> [u8; 32] {
    link_canonical(previous, to_json(event).as_bytes())
}

/// As [`link`], for an event that is written in that form already.
pub fn link_canonical(previous: &[u8; 32], event: &[u8]) -> [u8; 32] {
    sha256([previous, event])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::string::ToString;

    /// Fixed for good: whoever wrote an event with another version must find it unchanged with this one.
    #[test]
    fn an_event_has_the_hash_it_always_had() {
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
