//! The journal: one event for each request, one for each fault of the database, and one for a
//! setting that is not taken. An event names the route, the token's id and codes, but no resource,
//! key or token. It names an address only if that sent no valid token.

use std::sync::atomic::{AtomicBool, Ordering};

use countersign::secret::Weakness;
use countersign_app_common::clock::{self, Stopwatch};
use countersign_app_common::journal::{self, Event};

/// Bytes of a database's message that an event repeats: the rest rarely says more.
const MAX_DETAIL_BYTES: usize = 512;

/// Bytes of the longest method that an event names. A longer one is not HTTP's, and may be of any
/// length.
const MAX_METHOD_BYTES: usize = 16;

/// What is known of a request once it has an answer.
pub(crate) struct Request<'a> {
    time: i64,
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a str,
    /// The pattern of the route, if the path has one.
    pub(crate) route: Option<&'static str>,
    /// The id of the caller's token.
    pub(crate) actor: Option<String>,
    /// The address of a caller without a valid token, as it is counted.
    pub(crate) client: Option<String>,
    pub(crate) status: u16,
    /// The code and the reason of a problem.
    pub(crate) code: Option<&'static str>,
    pub(crate) reason: Option<&'static str>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(request_id: &'a str, method: &'a str) -> Self {
        let time = clock::now().unix();
        Self { time, request_id, method, route: None, actor: None, client: None, status: 0, code: None, reason: None }
    }

    /// Appends the event.
    pub(crate) fn note(self, stopwatch: Stopwatch) {
        journal::append(&Event {
            time: self.time,
            name: "request".into(),
            request: Some(journal::Request {
                id: self.request_id.into(),
                method: if self.method.len() <= MAX_METHOD_BYTES { self.method } else { "other" }.into(),
                route: self.route.map(Into::into),
                actor: self.actor,
                status: self.status,
            }),
            code: self.code.map(Into::into),
            reason: self.reason.map(Into::into),
            detail: None,
            license: None,
            client: self.client,
            count: None,
            seconds: None,
            stale_seconds: None,
            duration_micros: Some(stopwatch.elapsed().as_micros() as u64),
        });
    }
}

/// Appends the database's message about a call that failed.
pub(crate) fn note_fault(reason: &'static str, detail: &str) {
    let end = detail.floor_char_boundary(MAX_DETAIL_BYTES.min(detail.len()));
    note("sql-fault", reason, detail[..end].into());
}

/// Appends why a setting is not taken for a secret: once for each instance of this component, as
/// every wrong token leads here.
pub(crate) fn note_weak_setting(setting: &'static str, weakness: Weakness) {
    static NOTED: AtomicBool = AtomicBool::new(false);
    if !NOTED.swap(true, Ordering::Relaxed) {
        note("weak-setting", setting, format!("`{setting}` is not taken: it {weakness}."));
    }
}

fn note(name: &'static str, reason: &'static str, detail: String) {
    journal::append(&Event {
        time: clock::now().unix(),
        name: name.into(),
        request: None,
        code: None,
        reason: Some(reason.into()),
        detail: Some(detail),
        license: None,
        client: None,
        count: None,
        seconds: None,
        stale_seconds: None,
        duration_micros: None,
    });
}
