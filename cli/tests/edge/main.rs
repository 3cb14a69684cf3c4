//! An origin and its edges, as processes: what an edge answers while the origin answers, is slow,
//! is stopped, is killed, or is something else.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod impostor;

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use impostor::Impostor;
use serde_json::{Value, json};
use support::vendors;
use support::{PATIENCE, components, countersign, first_line, receive, run, until};
use tempfile::TempDir;

const WRONG_TOKEN: &str = "a-token-that-no-origin-knows";

/// The longest that a revocation may take to be obeyed at an edge that follows the changes.
const BOUND: Duration = Duration::from_secs(5);

struct Origin {
    server: vendors::Server,
    directory: TempDir,
}

impl Origin {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let origin = Self { server: vendors::Server::start(directory.path()), directory };
        origin.ask("POST", "/api/v1/products", &json!({ "code": "acme" }));
        origin
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.server.ask(method, path, None, body).unwrap();
        assert!((200..300).contains(&status), "{method} {path}: {answer}");
        answer
    }

    fn issue(&self, terms: &Value) -> Value {
        let mut body = json!({ "product": "acme", "plan": "pro" });
        body.as_object_mut().unwrap().extend(terms.as_object().unwrap().clone());
        self.ask("POST", "/api/v1/licenses", &body)
    }

    fn add_edge(&self) -> String {
        let added = self.ask("POST", "/api/v1/tokens", &json!({ "name": "an edge", "role": "edge" }));
        added["token"].as_str().unwrap().to_owned()
    }

    /// An edge that has all licences.
    fn edge(&self, settings: &[&str]) -> Edge {
        let edge = Edge::start(&format!("http://{}", self.server.address()), &self.add_edge(), settings);
        edge.catch_up();
        edge
    }

    fn signal(&self, name: &str) {
        let id = self.server.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

/// `countersign serve --origin`, killed on drop.
struct Edge {
    child: Child,
    address: String,
    directory: TempDir,
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn edge_command(data: &Path, origin: &str, token: &str) -> Command {
    let mut command = countersign(data, &["serve", "--listen", "127.0.0.1:0", "--origin", origin]);
    command.arg("--component").arg(components().join("countersign-edge-native.wasm"));
    command.env("COUNTERSIGN_ORIGIN_TOKEN", token);
    command
}

impl Edge {
    fn start(origin: &str, token: &str, settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (child, address) = Self::serve(directory.path(), origin, token, settings);
        Self { child, address, directory }
    }

    fn serve(directory: &Path, origin: &str, token: &str, settings: &[&str]) -> (Child, String) {
        let mut command = edge_command(&directory.join("data"), origin, token);
        command.arg("--journal").arg(directory.join("journal")).stdout(Stdio::piped()).stderr(Stdio::null());
        for setting in settings {
            command.args(["--setting", setting]);
        }
        let mut child = command.spawn().unwrap();
        let line = first_line(child.stdout.take().unwrap());
        (child, line.strip_prefix("listening on http://").unwrap().to_owned())
    }

    fn restart(&mut self, origin: &str, token: &str, settings: &[&str]) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.address) = Self::serve(self.directory.path(), origin, token, settings);
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let (status, body) = receive(&mut stream).unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }

    fn post(&self, verb: &str, body: &Value) -> (u16, Value) {
        self.send("POST", &format!("/api/v1/{verb}"), body)
    }

    fn validate(&self, license: &Value) -> (u16, Value) {
        self.post("validate", &json!({ "key": license["key"] }))
    }

    fn code(&self, license: &Value) -> String {
        let (status, answer) = self.validate(license);
        answer["code"].as_str().unwrap_or_else(|| panic!("{status} {answer}")).to_owned()
    }

    fn seconds_behind(&self) -> Option<i64> {
        let (status, ready) = self.send("GET", "/readyz", &Value::Null);
        assert_eq!(status, 200, "{ready}");
        ready["store"]["secondsBehind"].as_i64()
    }

    fn catch_up(&self) {
        until("all licences arrive", || self.seconds_behind().filter(|seconds| *seconds < 3));
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("journal")).unwrap()
    }
}

#[test]
fn a_hundred_revocations_are_obeyed_at_all_edges_within_the_bound() {
    let origin = Origin::start();
    let edges = [origin.edge(&[]), origin.edge(&[])];
    let licenses: Vec<_> = (0..100).map(|_| origin.issue(&json!({}))).collect();
    // What was issued a moment ago works.
    for (license, edge) in licenses.iter().flat_map(|license| edges.iter().map(move |edge| (license, edge))) {
        assert_eq!(edge.code(license), "VALID");
    }
    let mut waiting = Vec::new();
    let mut slowest = Duration::ZERO;
    let mut look = |waiting: &mut Vec<(&Edge, &Value, Instant)>| {
        waiting.retain(|(edge, license, acknowledged)| {
            let is_obeyed = edge.code(license) == "REVOKED";
            if is_obeyed {
                slowest = slowest.max(acknowledged.elapsed());
            }
            !is_obeyed
        });
    };
    for license in &licenses {
        origin.ask("POST", &format!("/api/v1/licenses/{}/revoke", license["id"].as_str().unwrap()), &json!({}));
        let acknowledged = Instant::now();
        waiting.extend(edges.iter().map(|edge| (edge, license, acknowledged)));
        look(&mut waiting);
    }
    until("all revocations arrive", || {
        look(&mut waiting);
        waiting.is_empty().then_some(())
    });
    eprintln!("the slowest of 100 revocations was obeyed after {slowest:?}");
    assert!(slowest < BOUND, "{slowest:?}");
}

#[test]
fn a_refusal_is_confirmed_so_that_what_was_put_right_a_second_ago_works() {
    let origin = Origin::start();
    // It does not follow the changes in time to help.
    let edge = origin.edge(&[]);
    let license = origin.issue(&json!({}));
    let at = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    origin.ask("POST", &format!("{at}/suspend"), &json!({}));
    until("the suspension arrives", || (edge.code(&license) == "SUSPENDED").then_some(()));
    // Within a second what the origin just said is not asked again.
    let next_second = Instant::now() + Duration::from_millis(1_100);
    until("a second", || (Instant::now() > next_second).then_some(()));
    origin.ask("POST", &format!("{at}/resume"), &json!({}));
    assert_eq!(edge.code(&license), "VALID");
}

#[test]
fn an_edge_goes_on_while_its_origin_does_not_answer() {
    let origin = Origin::start();
    let edge = origin.edge(&["fresh_seconds=0"]);
    let (known, other) = (origin.issue(&json!({})), origin.issue(&json!({})));
    let suspended = origin.issue(&json!({}));
    let at = format!("/api/v1/licenses/{}", suspended["id"].as_str().unwrap());
    origin.ask("POST", &format!("{at}/suspend"), &json!({}));
    assert_eq!((edge.code(&known), edge.code(&suspended)), ("VALID".into(), "SUSPENDED".into()));
    until("the change arrives", || {
        let edges = origin.ask("GET", "/api/v1/edges", &Value::Null);
        (edges["items"][0]["eventsBehind"] == 0).then_some(())
    });

    // It accepts connections, and says nothing.
    origin.signal("STOP");
    let started = Instant::now();
    let (status, answer) = edge.validate(&known);
    assert_eq!((status, &answer["code"]), (200, &json!("VALID")), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    until("the edge notices", || edge.validate(&known).1.get("staleSeconds").is_some().then_some(()));
    // Nobody waits any more, also for what nobody asked for before: four times 250 ms.
    let started = Instant::now();
    for license in [&known, &other, &known, &other] {
        assert_eq!(edge.code(license), "VALID");
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    // What would refuse cannot be confirmed, and what is not known cannot be found.
    let (status, answer) = edge.validate(&suspended);
    assert_eq!((status, &answer["reason"]), (503, &json!("unconfirmed")), "{answer}");
    let (status, answer) = edge.validate(&json!({ "key": "a key that nobody has" }));
    assert_eq!((status, &answer["code"]), (503, &json!("UNAVAILABLE")), "{answer}");
    assert_eq!(edge.send("GET", "/readyz", &Value::Null).0, 200);
    assert!(edge.journal().contains(r#""event":"origin-lost""#));

    origin.signal("CONT");
    until("the origin is back", || (edge.code(&suspended) == "SUSPENDED").then_some(()));
    edge.catch_up();
    assert_eq!(edge.validate(&known).1.get("staleSeconds"), None);
    until("the journal says so", || edge.journal().contains(r#""event":"origin-back""#).then_some(()));
    let journal = edge.journal();
    assert!(!journal.contains(known["key"].as_str().unwrap()));
}

#[test]
fn an_edge_that_starts_without_its_origin_serves_what_it_had() {
    let origin = Origin::start();
    let token = origin.add_edge();
    let mut edge = Edge::start(&format!("http://{}", origin.server.address()), &token, &[]);
    let license = origin.issue(&json!({}));
    edge.catch_up();
    until("the licence arrives", || {
        let edges = origin.ask("GET", "/api/v1/edges", &Value::Null);
        (edges["items"][0]["eventsBehind"] == 0).then_some(())
    });
    let address = format!("http://{}", origin.server.address());
    drop(origin);
    edge.restart(&address, &token, &["fresh_seconds=0"]);
    // Nobody asked this edge for it before.
    until("the edge serves it", || (edge.code(&license) == "VALID").then_some(()));
    assert_eq!(edge.seconds_behind(), None);
}

#[test]
fn seats_and_usage_are_exact_over_all_edges() {
    let origin = Origin::start();
    let edges = [origin.edge(&[]), origin.edge(&[])];
    let license = origin.issue(&json!({
        "activation": { "limit": 1, "per": "machine" },
        "allowances": [{ "name": "credits", "limit": 10, "period": "total" }],
    }));
    let ask = |edge: usize, verb: &str, mut body: Value| {
        body["key"] = license["key"].clone();
        let (status, answer) = edges[edge].post(verb, &body);
        assert_eq!(status, 200, "{verb}: {answer}");
        answer
    };
    let (here, there) = (json!({ "fingerprint": ["here"] }), json!({ "fingerprint": ["there"] }));
    assert_eq!(ask(0, "activate", here.clone())["code"], "VALID");
    assert_eq!(ask(1, "activate", there.clone())["code"], "TOO_MANY_ACTIVATIONS");
    assert_eq!(ask(1, "validate", here.clone())["code"], "VALID");
    assert_eq!(ask(1, "deactivate", here.clone())["deactivated"], true);
    assert_eq!(ask(0, "activate", there.clone())["code"], "VALID");
    assert_eq!(ask(1, "activations", there)["activations"].as_array().unwrap().len(), 1);

    let mut consumed = 0;
    for number in 0..12 {
        let answer =
            ask(number % 2, "usage", json!({ "fingerprint": ["there"], "allowance": "credits", "consume": 1 }));
        consumed += u64::from(answer["applied"] == true);
        assert!(answer.get("warnings").is_none(), "an origin over SQLite is exact: {answer}");
    }
    assert_eq!(consumed, 10);
    let at = format!("/api/v1/licenses/{}", license["id"].as_str().unwrap());
    let shown = origin.ask("GET", &format!("{at}/activations"), &Value::Null);
    assert_eq!(shown["activations"].as_array().unwrap().len(), 1, "{shown}");
}

#[test]
fn validations_at_edges_are_counted_at_the_origin_once_it_is_back() {
    let origin = Origin::start();
    let edge = origin.edge(&[]);
    let license = origin.issue(&json!({}));
    assert_eq!(edge.code(&license), "VALID");
    origin.signal("STOP");
    for _ in 0..9 {
        assert_eq!(edge.code(&license), "VALID");
    }
    origin.signal("CONT");
    until("all are counted", || {
        let stats = origin.ask("GET", "/api/v1/stats", &Value::Null);
        (stats["validations"]["days"][0]["codes"]["VALID"] == 10).then_some(())
    });
}

#[test]
fn an_impostor_gives_no_verdict() {
    for impostor in impostor::ALL {
        let server = Impostor::start(impostor);
        let edge = Edge::start(&server.url(), WRONG_TOKEN, &["timeout_millis=500"]);
        let (status, answer) = edge.validate(&json!({ "key": "a key that nobody has" }));
        assert_eq!((status, &answer["code"]), (503, &json!("UNAVAILABLE")), "{impostor:?}: {answer}");
        assert!(answer.get("valid").is_none());
        let line = until("the journal has it", || {
            edge.journal().lines().find(|line| line.contains("origin-lost")).map(str::to_owned)
        });
        assert!(line.contains(r#""reason":"#), "{impostor:?}: {line}");
        assert!(!line.contains(WRONG_TOKEN), "{line}");
    }
}

#[test]
fn an_edge_with_a_wrong_token_says_so_and_gives_no_verdict() {
    let origin = Origin::start();
    let license = origin.issue(&json!({}));
    let reader = origin.ask("POST", "/api/v1/tokens", &json!({ "name": "a reader", "role": "reader" }));
    for token in ["cst_00000000000000000000000000_00000000000000000000000000000000", reader["token"].as_str().unwrap()]
    {
        let edge = Edge::start(&format!("http://{}", origin.server.address()), token, &[]);
        let (status, answer) = edge.validate(&license);
        assert_eq!((status, &answer["reason"]), (503, &json!("access-denied")), "{answer}");
        assert!(edge.journal().contains(r#""event":"origin-lost","reason":"access-denied""#), "{}", edge.journal());
    }
}

#[test]
fn a_start_that_cannot_work_is_refused_in_one_line() {
    let origin = Origin::start();
    let directory = tempfile::tempdir().unwrap();
    let refused = |data: &Path, url: &str, token: &str| {
        let output = edge_command(data, url, token).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let own = refused(origin.directory.path(), "https://licences.example.com", "cst_1");
    assert_eq!(own.0, 2);
    assert!(own.1.ends_with("has licences of its own, and cannot be an edge; give another --data\n"), "{}", own.1);
    let data = directory.path().join("data");
    for (url, token, code, text) in [
        ("http://licences.example.com", "cst_1", 2, "plain HTTP would expose the token"),
        ("licences.example.com", "cst_1", 2, "server address"),
        ("https://licences.example.com", "", 6, "the origin requires a token"),
        ("https://licences.example.com", "two words", 2, "must be one word"),
    ] {
        let (status, error) = refused(&data, url, token);
        assert!(error.contains(text) && error.lines().count() == 1, "{url}: {error}");
        assert_eq!(status, code, "{error}");
    }
}

#[test]
fn edges_are_added_listed_and_removed_on_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let registrar = components().join("countersign-registrar-native.wasm");
    let registrar = ["--registrar", registrar.to_str().unwrap(), "--json"];
    let edge = |arguments: &[&str]| {
        let (code, out, error) = run(directory.path(), &[arguments, &registrar].concat());
        assert_eq!(code, 0, "{error}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let added = edge(&["edge", "add", "Frankfurt"]);
    assert!(added["id"].as_str().unwrap().starts_with("tok_") && added["token"].as_str().unwrap().starts_with("cst_"));
    let listed = edge(&["edge", "list"]);
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["eventsBehind"]), (&json!("Frankfurt"), &json!(1)));
    let remove = ["edge", "remove", added["id"].as_str().unwrap()];
    assert_eq!(run(directory.path(), &[&remove[..], &registrar].concat()).0, 0);
    assert_eq!(edge(&["edge", "list"])["items"], json!([]));
}
