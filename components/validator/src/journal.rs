//! One event a validation. It names the licence's product and the end of its key, never the key.

use std::time::Duration;

use countersign::key::Hint;
use countersign::name::Product;
use countersign::time::Timestamp;
use countersign::verdict::Verdict;
use serde::Serialize;

use crate::bindings::countersign::license::journal;
use crate::validate::Unavailable;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    time: Timestamp,
    event: &'static str,
    code: &'static str,
    /// Only with `UNAVAILABLE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a Product>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a Hint>,
    duration_micros: u64,
}

/// Writes the line for one validation.
pub(crate) fn note(time: Timestamp, verdict: &Result<Verdict<'_>, &Unavailable>, duration: Duration) {
    let license = verdict.as_ref().ok().and_then(|verdict| verdict.license);
    let event = Event {
        time,
        event: "validation",
        code: verdict.as_ref().map_or("UNAVAILABLE", |verdict| verdict.code.as_str()),
        reason: verdict.as_ref().err().map(|unavailable| unavailable.0),
        product: license.map(|license| &license.product),
        hint: license.and_then(|license| license.hint.as_ref()),
        duration_micros: duration.as_micros() as u64,
    };
    if let Ok(line) = serde_json::to_string(&event) {
        journal::append(&line);
    }
}
