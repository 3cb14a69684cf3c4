//! One request and its answer: `service.handle` by HTTP.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use countersign::limiter::Network;
use countersign::limits::{BODY_TIMEOUT, MAX_BODY_BYTES};
use countersign::seam::is_passed_header;
use countersign::time::Timestamp;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use tokio::time::timeout;

use super::apps::Apps;
use super::notices::Refusal;
use super::places::Place;
use super::{host, problem};
use crate::bindings::service;

/// Headers of an answer that only the server writes: they frame the message or concern one
/// connection (RFC 9110, section 7.6.1).
const CONNECTION_HEADERS: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

pub(super) async fn answer(apps: &Apps, place: &Place, request: Request<Incoming>) -> Response<Full<Bytes>> {
    place.note_head();
    if !host::is_right(request.version(), request.headers()) {
        return problem::bad_host();
    }
    let (head, body) = request.into_parts();
    let body = read(body).await;
    let ends_connection = !matches!(body, service::Body::Complete(_));
    let caller = place.caller(&head.headers).to_canonical();
    let network = Network::of(caller);
    let app = apps.of(head.uri.path());
    let request = service::Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        authority: authority(&head.uri, &head.headers),
        client: app.sees_client().then(|| caller.to_string()),
        headers: headers(&head.headers),
        body,
    };
    let Some(turn) = place.begin(network, || app.is_privileged(&request)) else { return problem::unavailable() };
    let answered = app.call(&request).await;
    drop(turn);
    let mut response = match answered {
        Ok(response) if app.is_unknown_key(&response) => slow_down(apps, place, network, response),
        Ok(response) => translate(response),
        Err(error) => {
            tracing::error!(%error, "the app gave no answer");
            problem::unavailable()
        }
    };
    if ends_connection {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The answer for an unknown key, unless the address has sent too many of them.
fn slow_down(apps: &Apps, place: &Place, caller: Network, response: service::Response) -> Response<Full<Bytes>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match apps.limiter().add_failure(caller, Timestamp::from_unix(now.cast_signed())) {
        Ok(()) => translate(response),
        Err(seconds) => {
            place.note(Refusal::UnknownKey, caller);
            problem::too_many_unknown_keys(seconds)
        }
    }
}

/// Reads a body up to the bound, and nothing of one that announces more.
async fn read(body: Incoming) -> service::Body {
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return service::Body::TooLarge;
    }
    match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => service::Body::Complete(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => service::Body::TooLarge,
        Ok(Err(_)) | Err(_) => service::Body::Incomplete,
    }
}

/// The destination that the request names: a target in absolute form overrides the header `host`
/// (RFC 9112, section 3.2.2).
fn authority(target: &Uri, headers: &HeaderMap) -> Option<String> {
    match target.authority() {
        Some(authority) => Some(authority.as_str().to_owned()),
        None => headers.get(header::HOST)?.to_str().ok().map(str::to_owned),
    }
}

fn headers(headers: &HeaderMap) -> Vec<service::Header> {
    let header = |(name, value): (&header::HeaderName, &HeaderValue)| service::Header {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    };
    headers.iter().filter(|(name, _)| is_passed_header(name.as_str())).map(header).collect()
}

/// The guest's answer for HTTP, or a 503 if its status or a header is not valid.
fn translate(response: service::Response) -> Response<Full<Bytes>> {
    try_translate(response).unwrap_or_else(|| {
        tracing::error!("the app's answer has an invalid status or header");
        problem::unavailable()
    })
}

fn try_translate(response: service::Response) -> Option<Response<Full<Bytes>>> {
    let mut answer = Response::new(Full::new(Bytes::from(response.body)));
    *answer.status_mut() = StatusCode::from_u16(response.status).ok().filter(|status| !status.is_informational())?;
    for service::Header { name, value } in response.headers {
        let name = header::HeaderName::from_bytes(name.as_bytes()).ok()?;
        if !CONNECTION_HEADERS.contains(&name) {
            answer.headers_mut().append(name, HeaderValue::from_bytes(&value).ok()?);
        }
    }
    Some(answer)
}
