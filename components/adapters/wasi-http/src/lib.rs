//! `fetch` on hosts that speak `wasi:http/outgoing-handler@0.2`, such as Spin.
//!
//! The host decides which addresses are allowed, checks the server's certificate, and follows no
//! redirect. One deadline bounds the whole exchange, whatever the server does in it.

use bindings::exports::countersign::license::fetch::{Error, Guest, Header, Request, Response};
use wasi::clocks::monotonic_clock::subscribe_duration;
use wasi::http::outgoing_handler::handle;
use wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme, http_error_code,
};
use wasi::io::poll::{Pollable, poll};
use wasi::io::streams::StreamError;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Fetch;

    wit_bindgen::generate!({ path: "../../../wit", world: "fetch-adapter" });
    export!(Fetch);
}

struct Fetch;

impl Guest for Fetch {
    fn send(request: Request) -> Result<Response, Error> {
        let Request { method, url, headers, body, timeout_millis, max_body_bytes } = request;
        let deadline = subscribe_duration(u64::from(timeout_millis) * 1_000_000);
        let (outgoing, sink) = outgoing(&method, &url, headers, body.len()).ok_or(Error::InvalidRequest)?;
        let answer = handle(outgoing, None).map_err(failure)?;
        write(sink, &body, &deadline)?;
        read(&answer, max_body_bytes, &deadline)
    }
}

/// The request without its body, and where that is written. `None` if the host does not take it.
fn outgoing(
    method: &str,
    url: &str,
    headers: Vec<Header>,
    body_bytes: usize,
) -> Option<(OutgoingRequest, OutgoingBody)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut fields: Vec<_> = headers.into_iter().map(|header| (header.name, header.value.into_bytes())).collect();
    if body_bytes > 0 {
        fields.push(("content-length".into(), body_bytes.to_string().into()));
    }
    let outgoing = OutgoingRequest::new(Fields::from_list(&fields).ok()?);
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.into()),
    };
    outgoing.set_method(&method).ok()?;
    outgoing.set_scheme(Some(&scheme)).ok()?;
    outgoing.set_authority(Some(authority)).ok()?;
    outgoing.set_path_with_query(Some(if path.is_empty() { "/" } else { path })).ok()?;
    let sink = outgoing.body().ok()?;
    Some((outgoing, sink))
}

/// Writes the body. A server that reads no more of it has answered or gone, which [`read`] finds.
fn write(sink: OutgoingBody, mut body: &[u8], deadline: &Pollable) -> Result<(), Error> {
    let stream = sink.write().map_err(|()| Error::InvalidRequest)?;
    while !body.is_empty() {
        let Ok(room) = stream.check_write() else { break };
        if room == 0 {
            wait(&stream.subscribe(), deadline)?;
            continue;
        }
        let (part, rest) = body.split_at(body.len().min(room as usize));
        if stream.write(part).is_err() {
            break;
        }
        body = rest;
    }
    drop(stream);
    let _ = OutgoingBody::finish(sink, None);
    Ok(())
}

/// Reads the answer, and at most one byte more of its body than the bound.
fn read(answer: &FutureIncomingResponse, max_body_bytes: u32, deadline: &Pollable) -> Result<Response, Error> {
    let cut_off = || Error::Unreachable("the answer ended early".into());
    wait(&answer.subscribe(), deadline)?;
    let incoming = answer.get().and_then(Result::ok).ok_or_else(cut_off)?.map_err(failure)?;
    let source = incoming.consume().map_err(|()| cut_off())?;
    let stream = source.stream().map_err(|()| cut_off())?;
    let max_body_bytes = max_body_bytes as usize;
    let mut body = Vec::new();
    while body.len() <= max_body_bytes {
        match stream.read((max_body_bytes - body.len()) as u64 + 1) {
            Ok(chunk) if chunk.is_empty() => wait(&stream.subscribe(), deadline)?,
            Ok(chunk) => body.extend(chunk),
            Err(StreamError::Closed) => return Ok(Response { status: incoming.status(), body }),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error).map_or_else(cut_off, failure));
            }
        }
    }
    Err(Error::TooLarge)
}

fn wait(until: &Pollable, deadline: &Pollable) -> Result<(), Error> {
    if poll(&[until, deadline]).contains(&1) { Err(Error::Timeout) } else { Ok(()) }
}

/// Says what an operator can do something about. The `Debug` of all codes would make this component
/// a third larger.
fn failure(code: ErrorCode) -> Error {
    let text = match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => return Error::Denied,
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => return Error::Timeout,
        ErrorCode::HttpRequestMethodInvalid | ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestUriTooLong => {
            return Error::InvalidRequest;
        }
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => "the name of the host is not known",
        ErrorCode::ConnectionRefused => "the connection was refused",
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => "the connection was closed",
        ErrorCode::TlsCertificateError => "the certificate is not valid",
        ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => "TLS failed",
        ErrorCode::HttpProtocolError => "what came back is not HTTP",
        ErrorCode::InternalError(Some(text)) => return Error::Unreachable(text),
        _ => "the exchange failed",
    };
    Error::Unreachable(text.into())
}
