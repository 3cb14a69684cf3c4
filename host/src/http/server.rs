//! The native shell: HTTP/1.1 in front of `service.handle`.
//!
//! Every wait for a client is bounded, and so is everything that it sends. An answer that ends a
//! connection says so before the connection closes.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countersign::limits::{BODY_TIMEOUT, MAX_BODY_BYTES};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use countersign::seam::is_passed_header;

use super::apps::Apps;
use crate::bindings::service;
use crate::limits::{
    HEADER_TIMEOUT, LINGER, LINGER_BYTES, MAX_CONNECTIONS, MAX_HEADER_BYTES, MAX_HEADERS, STOP_TIMEOUT, WRITE_TIMEOUT,
};

/// The pause after an accept that failed because files or memory ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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

/// Serves until `stop` resolves, then gives requests in flight [`STOP_TIMEOUT`] to finish.
pub async fn serve(listener: TcpListener, apps: Arc<Apps>, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stopping, _) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let (stream, client, place) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (apps, stopping) = (apps.clone(), stopping.subscribe());
        tokio::spawn(async move {
            if let Err(error) = serve_connection(stream, client, &apps, stopping).await {
                tracing::debug!(%error, "connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    stopping.send_replace(true);
    let all_places = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    if timeout(STOP_TIMEOUT, places.acquire_many(all_places)).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut off");
    }
}

/// Waits for a free place, then for a connection. Further ones wait in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, client)) => return (stream, client, place),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    client: SocketAddr,
    apps: &Apps,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_user_timeout(Some(WRITE_TIMEOUT))?;
    let answer = service_fn(|request| async { Ok::<_, Infallible>(answer(apps, client, request).await) });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), answer);
    let stop = async { stopping.wait_for(|stopping| *stopping).await.map(|_| ()) };
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        _ = stop => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    linger(connection.into_parts().io.into_inner()).await;
    Ok(ended?)
}

/// Discards what the client still sends, until it has seen the answer's end: see [`LINGER`].
async fn linger(mut stream: TcpStream) {
    let drain = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // The connection is closed next in any case.
    let _: Result<io::Result<u64>, _> = timeout(LINGER, drain).await;
}

async fn answer(apps: &Apps, client: SocketAddr, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = read(body).await;
    let ends_connection = !matches!(body, service::Body::Complete(_));
    let app = apps.of(head.uri.path());
    let request = service::Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        authority: authority(&head.uri, &head.headers),
        client: app.sees_client().then(|| client.ip().to_canonical().to_string()),
        headers: headers(&head.headers),
        body,
    };
    let mut response = match app.call(&request).await {
        Ok(response) => translate(response).unwrap_or_else(|| {
            tracing::error!("the app's answer has an invalid status or header");
            unavailable()
        }),
        Err(error) => {
            tracing::error!(%error, "the app gave no answer");
            unavailable()
        }
    };
    if ends_connection {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
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

/// The guest's answer for HTTP; `None` if its status or a header is not valid.
fn translate(response: service::Response) -> Option<Response<Full<Bytes>>> {
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

/// What a client gets if the guest gave no answer: a problem (RFC 9457) like the guest's own.
fn unavailable() -> Response<Full<Bytes>> {
    const PROBLEM: &[u8] = br#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The request could not be served. Try again.","code":"UNAVAILABLE"}"#;
    let mut answer = Response::new(Full::new(Bytes::from_static(PROBLEM)));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}
