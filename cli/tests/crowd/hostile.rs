//! Clients that want every place of a server for themselves.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use crate::hostile_address;

/// Before a client that lost its connection comes back.
const PAUSE: Duration = Duration::from_secs(2);

/// Between two bytes of a client that is slow, and two requests of one that is not.
const DRIP: Duration = Duration::from_secs(1);

/// All hostile clients, until it is dropped.
pub(crate) struct Crowd {
    /// Its threads end when it is dropped.
    _runtime: Runtime,
    clients: usize,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Clients that have connected.
    connected: AtomicUsize,
    /// Connections that ended.
    closed: AtomicUsize,
}

/// What a client does with its connection.
#[derive(Clone, Copy)]
enum Kind {
    SaysNothing,
    DripsHead,
    DripsBody,
    AsksForHealth,
    GuessesTokens,
}

const KINDS: [Kind; 5] =
    [Kind::SaysNothing, Kind::DripsHead, Kind::DripsBody, Kind::AsksForHealth, Kind::GuessesTokens];

impl Crowd {
    /// Clients of all kinds, `of_each` from each address.
    pub(crate) fn gather(to: SocketAddr, addresses: usize, of_each: usize) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let counts = Arc::<Counts>::default();
        for number in 0..addresses * of_each {
            let from = SocketAddr::from((hostile_address(number % addresses), 0));
            let kind = KINDS[number / addresses % KINDS.len()];
            let counts = counts.clone();
            runtime.spawn(async move {
                let mut is_first = true;
                loop {
                    if let Ok(stream) = connect(from, to).await {
                        if is_first {
                            counts.connected.fetch_add(1, Ordering::Relaxed);
                            is_first = false;
                        }
                        // It goes on until the server has enough of it.
                        let _: io::Result<()> = pester(kind, stream).await;
                        counts.closed.fetch_add(1, Ordering::Relaxed);
                    }
                    sleep(PAUSE).await;
                }
            });
        }
        Self { _runtime: runtime, clients: addresses * of_each, counts }
    }

    /// Whether every client has had a connection.
    pub(crate) fn is_complete(&self) -> bool {
        self.counts.connected.load(Ordering::Relaxed) == self.clients
    }

    pub(crate) fn closed(&self) -> usize {
        self.counts.closed.load(Ordering::Relaxed)
    }
}

async fn connect(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(from)?;
    socket.connect(to).await
}

async fn pester(kind: Kind, mut stream: TcpStream) -> io::Result<()> {
    match kind {
        Kind::SaysNothing => stream.read(&mut [0]).await.map(drop),
        Kind::DripsHead => {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: test\r\nx-long: ").await?;
            drip(&mut stream).await
        }
        Kind::DripsBody => {
            stream.write_all(b"POST /api/v1/validate HTTP/1.1\r\nhost: test\r\ncontent-length: 60000\r\n\r\n").await?;
            drip(&mut stream).await
        }
        Kind::AsksForHealth => ask(&mut stream, b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").await,
        Kind::GuessesTokens => {
            let guess = b"GET /api/v1/licenses HTTP/1.1\r\nhost: test\r\nauthorization: Bearer cst_guess\r\n\r\n";
            ask(&mut stream, guess).await
        }
    }
}

async fn drip(stream: &mut TcpStream) -> io::Result<()> {
    loop {
        stream.write_all(b"x").await?;
        sleep(DRIP).await;
    }
}

async fn ask(stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    let mut answer = vec![0; 4_096];
    loop {
        stream.write_all(request).await?;
        if stream.read(&mut answer).await? == 0 {
            return Ok(());
        }
        sleep(DRIP).await;
    }
}
