//! A crowd of hostile clients, and one that behaves: it is served as if it were alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod hostile;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use countersign_host::http::make_room_for;
use support::{PATIENCE, first_line, receive, serve_licence, until};
use tempfile::TempDir;

use crate::hostile::Crowd;

const TOKEN: &str = "an-administrator-of-this-test-alone-1234";

/// Requests of one measurement, and the pause before each: some two seconds in all.
const REQUESTS: usize = 400;
const PAUSE: Duration = Duration::from_millis(5);

/// A p99 below this is as good as any: on a busy machine even the quiet one varies by as much.
const FLOOR: Duration = Duration::from_millis(30);

/// How often a comparison is made before it counts as failed, as other programs run here too.
const ATTEMPTS: usize = 4;

#[test]
fn a_client_that_behaves_is_served_beside_a_crowd() {
    // Both ends of each connection are on this machine, in two processes.
    let connections = make_room_for(10_000);
    let server = Server::start();
    let quiet = server.p99();
    for (addresses, of_each) in [(1, 1_000), (100, 100)] {
        let of_each = of_each.min(connections / addresses);
        let crowd = Crowd::gather(server.address, addresses, of_each);
        until("every hostile client has connected", || crowd.is_complete().then_some(()));
        let allowed = FLOOR.max(quiet * 5);
        let beside = (0..ATTEMPTS).map(|_| server.p99()).find(|beside| *beside <= allowed);
        assert!(beside.is_some(), "beside {addresses} times {of_each} connections, above {allowed:?} each time");
        println!("{addresses} × {of_each}: p99 {:?}, and {quiet:?} without", beside.unwrap());
        assert!(crowd.closed() > 0, "connections must make room");
    }
    until("the journal tells who was refused", || {
        let journal = std::fs::read_to_string(server.directory.path().join("journal")).unwrap();
        let told = |client: &str| {
            journal.lines().any(|line| {
                line.contains(r#""event":"refusals","reason":"made-room""#)
                    && line.contains(&format!(r#""client":"{client}","count":"#))
            })
        };
        (told("127.1.0.1") && !told("127.0.0.1")).then_some(())
    });
}

struct Server {
    child: Child,
    address: SocketAddr,
    key: String,
    directory: TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (key, mut serve) = serve_licence(directory.path(), TOKEN, &[]);
        let mut child = serve.spawn().unwrap();
        let line = first_line(child.stdout.take().unwrap());
        let address = line.strip_prefix("listening on http://").unwrap().parse().unwrap();
        Self { child, address, key, directory }
    }

    /// The 99th percentile of the time from request to answer: of validations and of health checks
    /// on one connection, of both on new ones, and of a vendor's requests.
    fn p99(&self) -> Duration {
        let body = format!(r#"{{"key":"{}"}}"#, self.key);
        let validation =
            format!("POST /api/v1/validate HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let health = "GET /readyz HTTP/1.1\r\nhost: test\r\n\r\n".to_owned();
        let vendors = format!("GET /api/v1/products HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
        let mut kept = self.connect();
        let mut times = Vec::with_capacity(REQUESTS);
        for number in 0..REQUESTS {
            std::thread::sleep(PAUSE);
            let request = [&validation, &health, &validation, &vendors][number % 4];
            let started = Instant::now();
            if number % 5 == 0 {
                kept = self.connect();
            }
            kept.write_all(request.as_bytes()).unwrap();
            let (status, answer) = receive(&mut kept).expect("a client that behaves gets an answer");
            times.push(started.elapsed());
            let log = || std::fs::read_to_string(self.directory.path().join("log")).unwrap();
            assert_eq!(status, 200, "{answer}\n{}", log());
        }
        times.sort_unstable();
        times[times.len() * 99 / 100]
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The hostile addresses, none of which is the good client's.
fn hostile_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 1, 0, u8::try_from(number + 1).unwrap())
}
