//! The native shell: accepts connections, and speaks HTTP/1.1 on them.
//!
//! Every wait for a client is bounded, and so is everything that it sends. An answer that ends a
//! connection says so before the connection closes.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::apps::Apps;
use super::exchange::answer;
use super::places::{Bounds, Place, Places};
use super::proxies::Proxies;
use super::stream::Stream;
use crate::imports::journal::Journal;
use crate::limits::{
    BACKLOG, LINGER, LINGER_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, STOP_TIMEOUT, WATCH_PAUSE, WRITE_TIMEOUT,
};

/// The pause after an accept that failed because files or memory ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on an address. Port 0 is any free port.
///
/// # Errors
/// If the address is in use, or not this machine's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As connections of an earlier process may be closing still.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` resolves, then gives requests in flight [`STOP_TIMEOUT`] to finish. The
/// proxies say whose requests they pass on, and the journal tells who was refused.
pub async fn serve(
    listener: TcpListener,
    apps: Arc<Apps>,
    bounds: Bounds,
    proxies: Arc<Proxies>,
    journal: Journal,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Places::new(bounds, proxies));
    let (stopping, _) = watch::channel(false);
    let mut watches = interval(WATCH_PAUSE);
    watches.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = pin!(stop);
    loop {
        let (stream, client) = tokio::select! {
            () = &mut stop => break,
            _ = watches.tick() => {
                places.close_late();
                places.notices().report(&journal);
                continue;
            }
            accepted = accept(&listener) => accepted,
        };
        // Without a place the connection is closed: nobody would answer it in time.
        let Some(place) = places.take(client.ip()) else { continue };
        let (apps, stopping) = (apps.clone(), stopping.subscribe());
        place.spawn(|place| async move {
            if let Err(error) = serve_connection(stream, &place, &apps, stopping).await {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
    drop(listener);
    stopping.send_replace(true);
    if timeout(STOP_TIMEOUT, stopping.closed()).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut off");
    }
    places.notices().report(&journal);
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    place: &Place,
    apps: &Apps,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_user_timeout(Some(WRITE_TIMEOUT))?;
    let answer = service_fn(|request| async { Ok::<_, Infallible>(answer(apps, place, request).await) });
    let mut connection = http1::Builder::new()
        .header_read_timeout(None) // the place bounds this wait, and those between requests
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(Stream::new(stream, place), answer);
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
