//! The hash chain of events. Each event is hashed with the hash of the one before it, so changing,
//! removing or moving one changes the hash of every later event.
//!
//! Personal data can be erased, and the chain still verifies. An event is hashed without it, and
//! with a [commitment](commit) in its place: a hash of the data and of a random salt. Once both are
//! gone, nobody can find the data from the commitment, even by trying every name.
//!
//! Events of earlier versions are hashed with all that they contain. If personal data is removed
//! from one, its own hash can no longer be computed. It then counts as unchanged if a later event
//! of the chain, which does verify, records the erasure and the hash of [what was left](rest).

use crate::{hash::sha256, hex, text::to_json};
use alloc::borrow::ToOwned;
use serde_json::{Map, Value};

/// The hash before the first event.
pub const BEGINNING: [u8; 32] = [0; 32];

/// The action of the events that record which events personal data was erased from. Their `after`
/// has `events`: a list of objects with the `number` of each, and for those of earlier versions the
/// `rest`, in hexadecimal.
pub const ERASED: &str = "audit.erased";

/// The member of an event's `after` with the [`check`] of a secret that was generated for its
/// subject.
pub const CHECK: &str = "check";

/// The members of a licence that are personal data of its owner.
pub const PERSONAL: [&str; 2] = ["owner", "metadata"];

/// What the actions on licences begin with: only their events have personal data.
const OF_LICENSES: &str = "license.";

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

/// Takes the personal data out of the states before and after a change: an object with `before` and
/// `after`, or `None` if there is none.
pub fn take_personal(action: &str, before: &mut Value, after: &mut Value) -> Option<Value> {
    if !action.starts_with(OF_LICENSES) {
        return None;
    }
    let mut taken = Map::new();
    for (name, state) in [("before", before), ("after", after)] {
        let Some(members) = state.as_object_mut() else { continue };
        let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
        let mut personal = Map::new();
        for member in PERSONAL {
            if members.get(member).is_some_and(|value| !is_empty(value)) {
                personal.extend(members.remove(member).map(|value| (member.to_owned(), value)));
            }
        }
        if !personal.is_empty() {
            taken.insert(name.to_owned(), Value::Object(personal));
        }
    }
    (!taken.is_empty()).then_some(Value::Object(taken))
}

/// The commitment to personal data, given in its canonical form: its hash with a random salt.
pub fn commit(salt: &[u8; 16], personal: &str) -> [u8; 32] {
    sha256([b"countersign personal data".as_slice(), salt, personal.as_bytes()])
}

/// What an event says of a key or token that was generated for its subject, so that another hash in
/// its place is noticed. It is a hash of the secret's hash.
///
/// Nobody finds a secret of 128 random bits from this. Of a key from elsewhere, which may be a
/// short one, no event has a check: whoever reads events could try all such keys.
pub fn check(subject: &str, hash: &[u8; 32]) -> [u8; 32] {
    sha256([b"countersign generated secret", subject.as_bytes(), hash])
}

/// The content that an event was hashed with, of an event as the API shows it. `None` if its
/// personal data is not what it commits to.
///
/// The API shows personal data in its place, the commitment as `personal` and the salt as `salt`.
/// If the data was erased, `erased` is the number of the event that records this.
pub fn content(event: &Value) -> Option<Value> {
    let mut content = event.clone();
    let members = content.as_object_mut()?;
    for name in ["hash", "previous", "erased"] {
        members.remove(name);
    }
    let salt = members.remove("salt");
    if members.contains_key("personal") && event.get("erased").is_none() {
        let salt = hex::decode(salt?.as_str()?)?;
        let [mut before, mut after] = ["before", "after"].map(|name| event[name].clone());
        let personal = take_personal(event["action"].as_str()?, &mut before, &mut after)?;
        if event["personal"] != hex::encode(&commit(&salt, &to_json(&personal))).as_str() {
            return None;
        }
        members.insert("before".to_owned(), before);
        members.insert("after".to_owned(), after);
    }
    Some(content)
}

/// The hash of what was left of an event of an earlier version: of its [`content`] after the
/// erasure.
pub fn rest(content: &Value) -> [u8; 32] {
    sha256([to_json(content).as_bytes()])
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

    /// Nor does this one.
    #[test]
    fn a_commitment_is_the_same_in_every_version() {
        let (mut before, mut after) = (
            Value::Null,
            json!({ "metadata": { "order": "17", "name": "Zoë" }, "owner": "zoe@example.com", "plan": "pro" }),
        );
        let personal = take_personal("license.created", &mut before, &mut after).unwrap();
        assert_eq!((before, after), (Value::Null, json!({ "plan": "pro" })));
        assert_eq!(
            personal.to_string(),
            r#"{"after":{"metadata":{"name":"Zoë","order":"17"},"owner":"zoe@example.com"}}"#
        );
        let commitment = crate::hex::encode(&commit(&[7; 16], &personal.to_string()));
        assert_eq!(commitment, "9b9f537b9461496bc424958244067fa74b5acfc8957cde1e86e452b1f7b770fe");
    }

    /// Nor does this one.
    #[test]
    fn a_check_is_the_same_in_every_version() {
        let check = crate::hex::encode(&check("lic_00000000000000000000000000", &[7; 32]));
        assert_eq!(check, "e4f7bd0a9d63adeeaffe22285056139d7f3b73e7acb26dc33ef9cb116a43d2dd");
    }

    #[test]
    fn only_licences_have_personal_data() {
        let taken = |action, state: &Value| take_personal(action, &mut Value::Null, &mut state.clone());
        let state = json!({ "owner": "zoe", "metadata": { "a": "b" } });
        assert_eq!(taken("license.created", &state), Some(json!({ "after": state })));
        assert_eq!(taken("product.created", &state), None);
        assert_eq!(taken("license.created", &json!({ "metadata": {} })), None);
    }

    #[test]
    fn an_event_without_its_personal_data_has_the_same_content() {
        let salt = [7; 16];
        let personal = json!({ "before": { "owner": "zoe" } });
        let event = json!({
            "action": "license.updated", "number": 1, "hash": "00", "previous": "00",
            "before": { "owner": "zoe", "plan": "pro" }, "after": { "plan": "max", "metadata": {} },
            "personal": crate::hex::encode(&commit(&salt, &personal.to_string())), "salt": crate::hex::encode(&salt),
        });
        let mut erased = event.clone();
        erased["before"] = json!({ "plan": "pro" });
        erased["erased"] = 2.into();
        erased.as_object_mut().unwrap().remove("salt");
        assert!(content(&event).is_some());
        assert_eq!(content(&event), content(&erased));
        for (pointer, other) in [
            ("/before/owner", "ada"),
            ("/salt", "00"),
            ("/salt", "08080808080808080808080808080808"),
            ("/personal", ""),
        ] {
            let mut other_event = event.clone();
            *other_event.pointer_mut(pointer).unwrap() = other.into();
            assert_eq!(content(&other_event), None, "{pointer}");
        }
    }
}
