//! The verb everyone calls: may this run?

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use countersign::decide::judge;
use countersign::key::KeyHash;
use countersign::record::License;
use countersign::request::Request;
use countersign::time::Timestamp;
use countersign::verdict::Verdict;

use crate::answer;
use crate::bindings::countersign::license::settings;
use crate::bindings::countersign::license::store::{self, Error};
use crate::bindings::exports::countersign::license::service::Response;
use crate::journal;
use crate::problem::Problem;

/// `POST /api/v1/validate`
pub(crate) fn post(body: &[u8]) -> Result<Response, Problem> {
    let mut stopwatch = Stopwatch::start();
    let request = Request::from_json(body).map_err(Problem::InvalidRequest)?;
    let response = validate(&request, &mut stopwatch, |verdict| {
        let status = if verdict.license.is_some() { 200 } else { 404 };
        answer::json(status, verdict.to_json(&request))
    });
    let mut response = response.unwrap_or_else(|Unavailable(reason)| Problem::Unavailable { reason }.into());
    // A setting that cannot be read is no reason to withhold a verdict.
    if settings::get("server_timing").is_ok_and(|value| value.as_deref() == Some("true")) {
        answer::add_timing(&mut response, stopwatch.store, stopwatch.total());
    }
    Ok(response)
}

/// Reads, weighs and notes. The verdict borrows the licence it is about, so `answer` makes of it what outlives both.
pub(crate) fn validate<T>(
    request: &Request,
    stopwatch: &mut Stopwatch,
    answer: impl FnOnce(&Verdict<'_>) -> T,
) -> Result<T, Unavailable> {
    let found = match &request.key {
        Some(key) => read(key, stopwatch),
        None => Ok(None),
    };
    // After the read, however long it took: the verdict is about the moment at which it is given.
    let now = now();
    let verdict = found.as_ref().map(|license| judge(license.as_ref(), request, now));
    journal::note(now, &verdict, stopwatch.total());
    verdict.map(|verdict| answer(&verdict)).map_err(|unavailable| *unavailable)
}

/// Why there is no verdict, as a word for an operator: the kind of a store's error, or `corrupt-record`.
#[derive(Clone, Copy)]
pub(crate) struct Unavailable(pub(crate) &'static str);

/// When a validation began, and how long the store took for its part.
pub(crate) struct Stopwatch {
    began: Instant,
    store: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), store: Duration::ZERO }
    }

    pub(crate) fn total(&self) -> Duration {
        self.began.elapsed()
    }
}

/// The one read of the store.
fn read(key: &KeyHash, stopwatch: &mut Stopwatch) -> Result<Option<License>, Unavailable> {
    let asked = Instant::now();
    let found = store::get(&key.store_key());
    stopwatch.store = asked.elapsed();
    let Some(entry) = found.map_err(|error| Unavailable(kind(&error)))? else { return Ok(None) };
    License::from_json(&entry.value).map(Some).map_err(|_| Unavailable("corrupt-record"))
}

/// A store's error without its text, which is for the host's own log.
pub(crate) fn kind(error: &Error) -> &'static str {
    match error {
        Error::Unavailable(_) => "unavailable",
        Error::NoSuchStore => "no-such-store",
        Error::AccessDenied => "access-denied",
        Error::Throttled => "throttled",
        Error::TooLarge => "too-large",
        Error::InvalidKey => "invalid-key",
        Error::Unsupported => "unsupported",
        Error::Other(_) => "other",
    }
}

/// WASI counts the seconds since 1970 without a sign: there is no earlier time to fail on.
fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(elapsed.as_secs() as i64)
}
