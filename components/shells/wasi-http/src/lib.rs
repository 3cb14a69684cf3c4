//! The shell for hosts that speak `wasi:http/incoming-handler@0.2`: Spin and `wasmtime serve`.
//!
//! It translates a request into the record of `service.handle`, and the answer back. It bounds the
//! body and knows no routes.

use core::net::SocketAddr;

use bindings::countersign::license::service::{self, Body, Header, Request, Response};
use countersign::limits::{BODY_TIMEOUT, MAX_BODY_BYTES};
use countersign::seam::is_passed_header;
use wasi::clocks::monotonic_clock::subscribe_duration;
use wasi::exports::http::incoming_handler::Guest;
use wasi::http::types::{ErrorCode, Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasi::io::{poll::poll, streams::StreamError};

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Shell;

    wit_bindgen::generate!({ path: "../../../wit", world: "shell" });
    wasi::http::proxy::export!(Shell);
}

/// Bytes that one blocking write accepts (`wasi:io/streams`).
const MAX_WRITE_BYTES: usize = 4_096;

struct Shell;

impl Guest for Shell {
    fn handle(incoming: IncomingRequest, out: ResponseOutparam) {
        let response = service::handle(&request(&incoming));
        send(response, out);
    }
}

fn request(incoming: &IncomingRequest) -> Request {
    let target = incoming.path_with_query().unwrap_or_default();
    let mut headers: Vec<Header> = (incoming.headers().entries().into_iter())
        .map(|(name, value)| Header { name: name.to_ascii_lowercase(), value })
        .collect();
    let (client, body) = (client(&headers), read(incoming, &headers));
    headers.retain(|header| is_passed_header(&header.name));
    let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
    Request {
        method: method(incoming.method()),
        path: path.into(),
        query: query.map(Into::into),
        authority: incoming.authority(),
        client,
        headers,
        body,
    }
}

/// The caller's address. Spin sends it in a header that clients cannot set. Other hosts of this
/// interface do not report it.
fn client(headers: &[Header]) -> Option<String> {
    let header = headers.iter().rfind(|header| header.name == "spin-client-addr")?;
    let address: SocketAddr = str::from_utf8(&header.value).ok()?.parse().ok()?;
    Some(address.ip().to_string())
}

fn method(method: Method) -> String {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => return name,
    }
    .into()
}

/// Reads at most one byte more than the bound, and nothing of a body that announces more.
fn read(incoming: &IncomingRequest, headers: &[Header]) -> Body {
    let announced = headers.iter().find(|header| header.name == "content-length");
    let announced = announced.and_then(|header| str::from_utf8(&header.value).ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Body::TooLarge;
    }
    let Ok(body) = incoming.consume() else { return Body::Incomplete };
    let Ok(stream) = body.stream() else { return Body::Incomplete };
    let mut bytes = Vec::new();
    // Most bodies are complete at once, and need no deadline.
    let mut waiting = None;
    loop {
        match stream.read((MAX_BODY_BYTES + 1 - bytes.len()) as u64) {
            Ok(chunk) if chunk.is_empty() => {
                let (readable, deadline) = waiting
                    .get_or_insert_with(|| (stream.subscribe(), subscribe_duration(BODY_TIMEOUT.as_nanos() as u64)));
                if poll(&[readable, deadline]).contains(&1) {
                    return Body::Incomplete;
                }
            }
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Body::Complete(bytes),
            Err(StreamError::LastOperationFailed(_)) => return Body::Incomplete,
        }
        if bytes.len() > MAX_BODY_BYTES {
            return Body::TooLarge;
        }
    }
}

/// Sends the whole answer. If the client has gone, there is nobody to report that to.
fn send(Response { status, headers, body }: Response, out: ResponseOutparam) {
    let mut fields: Vec<_> = headers.into_iter().map(|header| (header.name, header.value)).collect();
    // RFC 9110, section 8.6: 204 has no length.
    if status != 204 {
        fields.push(("content-length".into(), body.len().to_string().into()));
    }
    let Ok(fields) = Fields::from_list(&fields) else {
        return ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
    };
    let outgoing = OutgoingResponse::new(fields);
    let (Ok(()), Ok(sink)) = (outgoing.set_status_code(status), outgoing.body()) else {
        return ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
    };
    let Ok(stream) = sink.write() else {
        return ResponseOutparam::set(out, Err(ErrorCode::InternalError(None)));
    };
    // Writes as much of the body as the host accepts before it sends the head. A head that is sent
    // alone delays the body by some 40 ms on a kept-alive connection, if the host uses Nagle's
    // algorithm, as Spin does.
    let room = stream.check_write().unwrap_or(0).min(body.len() as u64);
    let (ahead, rest) = body.split_at(room as usize);
    let written = stream.write(ahead);
    ResponseOutparam::set(out, Ok(outgoing));
    if written.is_ok() && rest.chunks(MAX_WRITE_BYTES).all(|chunk| stream.blocking_write_and_flush(chunk).is_ok()) {
        drop(stream);
        let _ = OutgoingBody::finish(sink, None);
    }
}
