//! The shell for WASI 0.3: `wasi:http/handler@0.3.0`, which Spin has since 4.1. One instance serves
//! many requests.
//!
//! It translates a request into the record of `service.handle`, and the answer back. It bounds the
//! body and knows no routes. It is not the default for Spin yet, because hosts may have an older
//! Spin.

use std::pin::pin;

use bindings::countersign::license::service::{self, Body, Header};
use bytes::Bytes;
use countersign::limits::{BODY_TIMEOUT, MAX_BODY_BYTES};
use countersign::seam::is_passed_header;
use futures_util::future::{Either, select};
use http_body_util::BodyExt;
use spin_sdk::http::{FullBody, HeaderMap, Request, Response, Result};
use spin_sdk::http_service;
use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
use spin_sdk::wasip3::http_compat::IncomingRequestBody;
use spin_sdk::wit_bindgen::yield_async;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "shell" });
}

#[http_service]
async fn handle(request: Request) -> Result<Response<FullBody<Bytes>>> {
    let (head, body) = request.into_parts();
    let request = service::Request {
        method: head.method.as_str().into(),
        path: head.uri.path().into(),
        query: head.uri.query().map(Into::into),
        authority: head.uri.authority().map(|authority| authority.as_str().into()),
        client: None,
        body: read(body, &head.headers).await,
        headers: headers(&head.headers),
    };
    let response = service::handle(&request);
    // Without this, Spin 4.1 sends the body of an answer that used a store only after the client's
    // delayed acknowledgement of the head: 44 ms later.
    yield_async().await;
    send(response)
}

/// The headers that apps read. `HeaderMap` has their names in lower case.
fn headers(headers: &HeaderMap) -> Vec<Header> {
    (headers.iter().filter(|(name, _)| is_passed_header(name.as_str())))
        .map(|(name, value)| Header { name: name.as_str().into(), value: value.as_bytes().into() })
        .collect()
}

/// Reads nothing of a body that announces more than the bound.
async fn read(body: IncomingRequestBody, headers: &HeaderMap) -> Body {
    let announced = headers.get("content-length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Body::TooLarge;
    }
    let deadline = wait_for(BODY_TIMEOUT.as_nanos() as u64);
    match select(pin!(collect(body)), pin!(deadline)).await {
        Either::Left((body, _)) => body,
        Either::Right(_) => Body::Incomplete,
    }
}

/// Stops reading beyond the bound.
async fn collect(mut body: IncomingRequestBody) -> Body {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Body::Incomplete };
        bytes.extend(frame.into_data().unwrap_or_default()); // a frame without data has trailers, which are ignored
        if bytes.len() > MAX_BODY_BYTES {
            return Body::TooLarge;
        }
    }
    Body::Complete(bytes)
}

/// The answer with its body in one piece, and the body's length.
fn send(service::Response { status, headers, body }: service::Response) -> Result<Response<FullBody<Bytes>>> {
    let mut response = Response::builder().status(status);
    // RFC 9110, section 8.6: 204 has no length.
    if status != 204 {
        response = response.header("content-length", body.len());
    }
    for Header { name, value } in headers {
        response = response.header(name, value);
    }
    Ok(response.body(FullBody::new(body.into()))?)
}
