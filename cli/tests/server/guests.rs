//! A guest that does not answer costs its own request and nothing else.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::support::Server;

#[test]
fn a_spinning_guest_is_cut_off_at_the_deadline() {
    let server = Server::start(&["--deadline-ms", "200"]);
    let start = Instant::now();
    let (status, body) = server.get("/spin");
    assert_eq!(status, 503);
    assert!(body.contains(r#""code":"UNAVAILABLE""#) && !body.contains("valid"), "{body}");
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(server.get("/healthz"), (200, "0".into()));
}

#[test]
fn spinning_guests_leave_room_for_others() {
    let server = Server::start(&["--deadline-ms", "3600000"]);
    let spin = |_| {
        let mut stream = server.connect();
        stream.write_all(b"GET /spin HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        stream
    };
    let spinning: Vec<_> = (0..40).map(spin).collect();
    for _ in 0..20 {
        assert_eq!(server.get("/healthz").0, 200);
    }
    for mut stream in spinning {
        stream.set_nonblocking(true).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "all were spinning meanwhile");
    }
}

#[test]
fn a_guest_that_takes_all_memory_is_stopped_before_its_deadline() {
    let server = Server::start(&["--deadline-ms", "3600000"]);
    assert_eq!(server.get("/grow").0, 503);
    assert_eq!(server.get("/healthz").0, 200);
}

#[test]
fn a_trap_is_unavailable_and_the_next_request_is_not() {
    let server = Server::start(&[]);
    for _ in 0..3 {
        assert_eq!(server.get("/trap").0, 503);
        assert_eq!(server.get("/healthz").0, 200);
    }
}

#[test]
fn an_answer_that_http_cannot_carry_is_unavailable() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/status").0, 503);
}
