//! Problems (RFC 9457) of the server's own, in the form of those of the apps.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

/// The request cannot be served now: the app gave no answer, or there are too many requests.
pub(super) fn unavailable() -> Response<Full<Bytes>> {
    retry_after(
        1,
        problem(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "The request could not be served. Try again."),
    )
}

/// The header `Host` is not what RFC 9112, section 3.2, asks for.
pub(super) fn bad_host() -> Response<Full<Bytes>> {
    let mut answer = problem(
        StatusCode::BAD_REQUEST,
        "INVALID_REQUEST",
        "`Host` must be sent once, and be a host name or address with an optional port.",
    );
    // Whoever sends such requests may disagree with others on where one ends.
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// The address has sent too many unknown keys, and must wait.
pub(super) fn too_many_unknown_keys(seconds: u32) -> Response<Full<Bytes>> {
    retry_after(
        seconds,
        problem(
            StatusCode::TOO_MANY_REQUESTS,
            "TOO_MANY_FAILURES",
            "Too many requests from this address had an unknown key; wait as long as `Retry-After` says.",
        ),
    )
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response<Full<Bytes>> {
    let title = status.canonical_reason().unwrap_or_default();
    let problem =
        json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail, "code": code });
    let mut answer = Response::new(Full::new(Bytes::from(problem.to_string())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer
}

fn retry_after(seconds: u32, mut answer: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    answer
}
