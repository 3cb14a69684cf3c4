//! Behind a reverse proxy, requests are their callers', and connections are kept.

use std::io::Write;
use std::net::TcpStream;

use crate::listeners::{Serving, TOKEN};
use crate::support::{PATIENCE, Server, countersign, receive};

/// Sends a request with these lines of a head on a connection. Returns the status.
fn ask(stream: &mut TcpStream, method: &str, path: &str, head: &str, body: &str) -> u16 {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n{head}content-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    receive(stream).unwrap().0
}

fn guess(serving: &Serving, number: u32, head: &str) -> u16 {
    let mut stream = TcpStream::connect(&serving.public).unwrap();
    ask(&mut stream, "POST", "/api/v1/validate", head, &format!(r#"{{"key":"guess-{number}"}}"#))
}

/// Guesses until it is slowed, and fails if that is not after as many guesses as an address has.
fn exhaust(serving: &Serving, head: impl Fn(u32) -> String) {
    let refused = (0..150).filter(|number| guess(serving, *number, &head(*number)) == 429).count();
    assert!((30..=50).contains(&refused), "{refused}");
}

#[test]
fn who_guesses_behind_a_trusted_proxy_is_slowed_alone() {
    let serving = Serving::start(&["--trusted-proxy", "127.0.0.1"]);
    // What is before the address that the proxy appended is the guesser's own word.
    exhaust(&serving, |number| format!("x-forwarded-for: 203.0.113.{number}, 192.0.2.1\r\n"));
    for others in ["x-forwarded-for: 192.0.2.1, 192.0.2.2\r\n", "forwarded: for=192.0.2.3;proto=https\r\n", ""] {
        assert_eq!(guess(&serving, 0, others), 404, "{others}");
    }
    assert_eq!(guess(&serving, 0, "Forwarded: proto=https;for=\"192.0.2.1:4711\"\r\n"), 429);
    exhaust(&serving, |number| format!("forwarded: for=\"[2001:db8:1:2::{number}]\", for=127.0.0.1\r\n"));
    let told = serving.refusals("unknown-key");
    let told = |client: &str| told.iter().any(|line| line["client"] == client);
    assert!(told("192.0.2.1") && !told("127.0.0.1"));
    // A right key is answered whoever sends it.
    let mut stream = TcpStream::connect(&serving.public).unwrap();
    let body = format!(r#"{{"key":"{}"}}"#, serving.key);
    assert_eq!(ask(&mut stream, "POST", "/api/v1/validate", "x-forwarded-for: 192.0.2.1\r\n", &body), 200);
}

#[test]
fn nobody_else_is_believed() {
    for arguments in [&[][..], &["--trusted-proxy", "127.0.0.2,10.0.0.0/8", "--trusted-proxy", "::1"]] {
        let serving = Serving::start(arguments);
        exhaust(&serving, |number| format!("x-forwarded-for: 192.0.2.{number}\r\nforwarded: for=192.0.2.{number}\r\n"));
        assert_eq!(serving.refusals("unknown-key")[0]["client"], "127.0.0.1");
    }
}

#[test]
fn a_proxy_that_says_nothing_clear_is_taken_for_the_caller() {
    let serving = Serving::start(&["--trusted-proxy", "127.0.0.0/8"]);
    let heads = [
        "x-forwarded-for: 192.0.2.1, unknown\r\n",
        "forwarded: for=_hidden\r\n",
        "forwarded: for=192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\n",
        "forwarded: for=\"192.0.2.1\r\n",
        "x-forwarded-for: 127.0.0.3\r\n",
        "",
    ];
    exhaust(&serving, |number| heads[number as usize % heads.len()].to_owned());
    assert_eq!(serving.refusals("unknown-key")[0]["client"], "127.0.0.1");
}

#[test]
fn the_journal_tells_from_where_behind_a_trusted_proxy_a_wrong_token_came() {
    let serving = Serving::start(&["--trusted-proxy", "127.0.0.1"]);
    let mut stream = TcpStream::connect(&serving.vendors).unwrap();
    let head = "authorization: Bearer wrong\r\nforwarded: for=\"[2001:db8:1:2::3]:4711\"\r\n";
    assert_eq!(ask(&mut stream, "GET", "/api/v1/products", head, ""), 401);
    let head = format!("authorization: Bearer {TOKEN}\r\nx-forwarded-for: 192.0.2.1\r\n");
    assert_eq!(ask(&mut stream, "GET", "/api/v1/products", &head, ""), 200);
    let told = serving.told("the refusal", |line| line["status"] == 401);
    assert_eq!(told[0]["client"], "2001:db8:1:2::/64");
}

#[test]
fn a_trusted_proxy_keeps_its_connections() {
    let bounds = ["--max-connections", "60", "--max-connections-per-address", "10"];
    let server = Server::start(&[&bounds[..], &["--trusted-proxy", "127.0.0.1"]].concat());
    let mut connections: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for _ in 0..2 {
        for connection in &mut connections {
            assert_eq!(ask(connection, "GET", "/healthz", "", ""), 200);
        }
    }
}

#[test]
fn a_proxy_is_given_as_an_address_or_a_network() {
    let directory = tempfile::tempdir().unwrap();
    for wrong in ["10.0.0.1/8", "proxy.example.com", "10.0.0.0/40", "all"] {
        let output = countersign(directory.path(), &["serve", "--trusted-proxy", wrong]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
        assert!(error.contains("--trusted-proxy"), "{error}");
    }
    let mut command = countersign(directory.path(), &["serve"]);
    let output = command.env("COUNTERSIGN_TRUSTED_PROXY", "10.0.0.0/8,wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
