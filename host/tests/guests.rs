//! A guest that does not answer costs its own request and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::Server;

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
    const SPINNING: usize = 40;
    const DEADLINE: Duration = Duration::from_secs(3);
    let server = Server::start(&["--deadline-ms", &DEADLINE.as_millis().to_string()]);
    thread::scope(|scope| {
        let spinning: Vec<_> = (0..SPINNING).map(|_| scope.spawn(|| server.get("/spin").0)).collect();
        thread::sleep(Duration::from_millis(300));
        for _ in 0..20 {
            let start = Instant::now();
            assert_eq!(server.get("/healthz").0, 200);
            assert!(start.elapsed() < DEADLINE / 3, "answered after {:?}", start.elapsed());
        }
        assert!(spinning.iter().all(|request| !request.is_finished()), "all were spinning meanwhile");
        for request in spinning {
            assert_eq!(request.join().unwrap(), 503);
        }
    });
}

#[test]
fn a_guest_that_takes_all_memory_is_stopped_before_its_deadline() {
    let server = Server::start(&["--deadline-ms", "30000"]);
    let start = Instant::now();
    assert_eq!(server.get("/grow").0, 503);
    assert!(start.elapsed() < Duration::from_secs(20), "by the limit, not by the deadline");
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
