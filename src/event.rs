//! One event of `wit/journal.wit`, and the line that every host writes of it.
//!
//! ```json
//! {"time":"2026-01-01T00:00:00Z","event":"validation","code":"VALID","license":"lic_…","product":"acme","durationMicros":41}
//! ```

use crate::{limits::MAX_EVENT_BYTES, time::Timestamp};
use alloc::string::String;
use serde::Serialize;

/// The fields of an event, in the order in which its line has them. Texts are borrowed: see
/// [`borrow_event!`](crate::borrow_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "documented in `wit/journal.wit`")]
pub struct Event<'a> {
    pub time: Timestamp,
    #[serde(rename = "event")]
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_micros: Option<u64>,
}

/// Borrows an [`Event`](crate::event::Event) from the record `event` of any bindings of
/// `wit/journal.wit`. Each bindings generator makes a type of its own, with the same fields.
#[macro_export]
macro_rules! borrow_event {
    ($record:expr) => {{
        let record = &$record;
        let (request, license) = (record.request.as_ref(), record.license.as_ref());
        $crate::event::Event {
            time: $crate::time::Timestamp::from_unix(record.time),
            name: &*record.name,
            request_id: request.map(|request| &*request.id),
            method: request.map(|request| &*request.method),
            route: request.and_then(|request| request.route.as_deref()),
            actor: request.and_then(|request| request.actor.as_deref()),
            status: request.map(|request| request.status),
            code: record.code.as_deref(),
            reason: record.reason.as_deref(),
            detail: record.detail.as_deref(),
            license: license.map(|license| &*license.id),
            product: license.map(|license| &*license.product),
            hint: license.and_then(|license| license.hint.as_deref()),
            client: record.client.as_deref(),
            count: record.count,
            seconds: record.seconds,
            stale_seconds: record.stale_seconds,
            duration_micros: record.duration_micros,
        }
    }};
}

impl Event<'_> {
    /// Whether the texts of the event have at most [`MAX_EVENT_BYTES`] together.
    pub fn fits(&self) -> bool {
        let Self { request_id, method, route, actor, code, reason, detail, license, product, hint, client, .. } = self;
        let texts = [request_id, method, route, actor, code, reason, detail, license, product, hint, client];
        let bytes = texts.into_iter().flatten().map(|text| text.len()).sum::<usize>();
        self.name.len() + bytes <= MAX_EVENT_BYTES
    }

    /// The event as a JSON object in one line, without the line's end. `None` if it does not
    /// [fit](Self::fits).
    pub fn to_line(&self) -> Option<String> {
        // JSON escapes the line breaks in texts. Writing plain fields to memory does not fail.
        if self.fits() { serde_json::to_string(self).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: Event<'static> = Event {
        time: Timestamp::from_unix(1_767_225_600),
        name: "test",
        request_id: None,
        method: None,
        route: None,
        actor: None,
        status: None,
        code: None,
        reason: None,
        detail: None,
        license: None,
        product: None,
        hint: None,
        client: None,
        count: None,
        seconds: None,
        stale_seconds: None,
        duration_micros: None,
    };

    #[test]
    fn a_line_has_the_fields_that_apply_in_their_order() {
        let all = Event {
            time: BARE.time,
            name: "request",
            request_id: Some("req_1"),
            method: Some("POST"),
            route: Some("/api/v1/licenses/{id}"),
            actor: Some("tok_1"),
            status: Some(503),
            code: Some("UNAVAILABLE"),
            reason: Some("sql-busy"),
            detail: Some("two\nlines"),
            license: Some("lic_1"),
            product: Some("acme"),
            hint: Some("sued"),
            client: Some("192.0.2.1"),
            count: Some(2),
            seconds: Some(3),
            stale_seconds: Some(4),
            duration_micros: Some(41),
        };
        let line = concat!(
            r#"{"time":"2026-01-01T00:00:00Z","event":"request","requestId":"req_1","method":"POST","#,
            r#""route":"/api/v1/licenses/{id}","actor":"tok_1","status":503,"code":"UNAVAILABLE","#,
            r#""reason":"sql-busy","detail":"two\nlines","license":"lic_1","product":"acme","#,
            r#""hint":"sued","client":"192.0.2.1","count":2,"seconds":3,"staleSeconds":4,"durationMicros":41}"#
        );
        assert_eq!(all.to_line().as_deref(), Some(line));
        let line = r#"{"time":"2026-01-01T00:00:00Z","event":"test"}"#;
        assert_eq!(BARE.to_line().as_deref(), Some(line));
    }

    #[test]
    fn an_event_of_more_than_4_096_bytes_has_no_line() {
        let text = "x".repeat(4_096 - 2 * "test".len());
        let largest = Event { code: Some("test"), detail: Some(&text), ..BARE };
        assert!(largest.fits() && largest.to_line().is_some());
        let larger = Event { hint: Some("x"), ..largest };
        assert!(!larger.fits() && larger.to_line().is_none());
    }
}
