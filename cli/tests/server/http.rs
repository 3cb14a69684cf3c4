//! The bounds of the HTTP server: bodies, headers, slow clients, and shutdown.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Server, receive, until};

/// How `guest.wat` says that a body arrived.
const COMPLETE: &str = "0";
const TOO_LARGE: &str = "1";

#[test]
fn a_body_of_64_kib_is_complete() {
    let server = Server::start(&[]);
    let mut request = b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 65536\r\n\r\n".to_vec();
    request.resize(request.len() + 65_536, b'x');
    assert_eq!(server.send(&request), (200, COMPLETE.into()));
}

#[test]
fn an_announced_body_that_is_too_large_is_not_read() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 65537\r\n\r\n").unwrap();
    assert_eq!(receive(&mut stream).unwrap(), (200, TOO_LARGE.into()), "answered before a byte of it was sent");
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "and closed");
}

#[test]
fn a_chunked_body_that_turns_out_too_large_is_answered_and_ends_the_connection() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    for _ in 0..20 {
        stream.write_all(b"2000\r\n").unwrap();
        stream.write_all(&[b'x'; 0x2000]).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    assert_eq!(receive(&mut stream).unwrap(), (200, TOO_LARGE.into()));
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_connection_is_kept_for_further_requests() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        assert_eq!(receive(&mut stream).unwrap(), (200, COMPLETE.into()));
    }
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let server = Server::start(&[]);
    let long = "x".repeat(20_000);
    let (status, _) = server.send(format!("GET / HTTP/1.1\r\nhost: test\r\nx-long: {long}\r\n\r\n").as_bytes());
    assert_eq!(status, 431);
    let many = "x-many: 1\r\n".repeat(65);
    let (status, _) = server.send(format!("GET / HTTP/1.1\r\nhost: test\r\n{many}\r\n").as_bytes());
    assert_eq!(status, 431);
}

#[test]
fn a_client_that_drips_its_head_is_cut_off() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    let start = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    // One header line a second would last for a minute.
    while start.elapsed() < Duration::from_secs(60) && stream.write_all(b"x: y\r\n").is_ok() {
        thread::sleep(Duration::from_secs(1));
    }
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!(server.get("/").0, 200);
}

#[test]
fn a_body_that_stalls_is_incomplete() {
    let server = Server::start(&[]);
    let (status, body) = server.send(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf");
    assert_eq!((status, body.as_str()), (200, "2"));
}

#[test]
fn a_stop_waits_for_the_requests_in_flight() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        let _idle = server.connect();
        let mut stream = server.connect();
        stream
            .write_all(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
            .unwrap();
        let mut read = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"HTTP/1.1 100 Continue\r\n\r\n");
        server.signal(signal);
        until("the server takes no more connections", || TcpStream::connect(&server.address).err());
        stream.write_all(b"{}").unwrap();
        assert_eq!(receive(&mut stream).unwrap(), (200, COMPLETE.into()));
        drop(stream);
        assert_eq!(server.wait(), Some(0));
    }
}

#[test]
fn a_host_is_sent_once_and_is_valid() {
    let server = Server::start(&[]);
    for host in ["", "host: a\r\nhost: b\r\n", "host: a\r\nhost: a\r\n", "host:\r\n", "host: a b\r\n", "host: a@b\r\n"]
    {
        let mut stream = server.connect();
        stream.write_all(format!("GET / HTTP/1.1\r\n{host}\r\n").as_bytes()).unwrap();
        let (status, body) = receive(&mut stream).unwrap();
        assert_eq!(status, 400, "{host:?}");
        assert!(body.contains(r#""code":"INVALID_REQUEST""#) && body.contains("`Host`"), "{body}");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "and the connection ends");
    }
    assert_eq!(server.send(b"GET / HTTP/1.0\r\n\r\n").0, 200, "HTTP/1.0 needs none");
    assert_eq!(server.send(b"GET http://b/ HTTP/1.1\r\nhost: a\r\n\r\n").0, 200);
    assert_eq!(server.send(b"GET http://b/ HTTP/1.1\r\n\r\n").0, 400, "the target does not replace it");
}

#[test]
fn an_idle_connection_is_kept_as_long_as_the_operator_says() {
    let server = Server::start(&["--keep-alive", "1"]);
    let mut stream = server.connect();
    let start = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    receive(&mut stream).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert!((1..8).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());

    // Longer than a head may take.
    let server = Server::start(&["--keep-alive", "3600"]);
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    receive(&mut stream).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(13))).unwrap();
    assert!(stream.read(&mut [0]).is_err(), "it is closed");
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert_eq!(receive(&mut stream).unwrap().0, 200);
    // A head that has begun has ten seconds, here as well.
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn a_client_that_says_nothing_is_cut_off() {
    let server = Server::start(&["--keep-alive", "3600"]);
    let start = Instant::now();
    assert_eq!(server.connect().read(&mut [0]).unwrap(), 0);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn of_one_address_the_connection_that_has_waited_longest_makes_room() {
    let server = Server::start(&["--max-connections-per-address", "10"]);
    let mut open: Vec<TcpStream> = (0..10)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
            receive(&mut stream).unwrap();
            stream
        })
        .collect();
    // The first has been used again since.
    open[0].write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    receive(&mut open[0]).unwrap();
    assert_eq!(server.get("/").0, 200);
    assert_eq!(open[1].read(&mut [0]).unwrap(), 0, "the second made room");
    for stream in open.iter_mut().enumerate().filter(|(index, _)| *index != 1).map(|(_, stream)| stream) {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        assert_eq!(receive(stream).unwrap().0, 200);
    }
}

#[test]
fn requests_that_take_long_leave_places_for_health_checks() {
    let server =
        Server::start(&["--max-connections", "20", "--max-connections-per-address", "100", "--deadline-ms", "3600000"]);
    let spin = |_| {
        let mut stream = server.connect();
        stream.write_all(b"GET /spin HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        stream
    };
    let mut spinning: Vec<_> = (0..18).map(spin).collect();
    let refused = until("all are being answered", || Some(server.get("/")).filter(|(status, _)| *status == 503)).1;
    assert!(refused.contains(r#""code":"UNAVAILABLE""#) && !refused.contains("valid"), "{refused}");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).0, 200);
    }
    for stream in &mut spinning {
        stream.set_nonblocking(true).unwrap();
        assert!(stream.read(&mut [0]).is_err(), "a request that is being answered keeps its place");
    }
}
