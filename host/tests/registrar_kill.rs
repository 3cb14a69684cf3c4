//! `kill -9` in a storm of a vendor's requests: nothing that was acknowledged is lost, and nothing that is asked again is done twice.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};
use support::{PATIENCE, components, countersign, receive};

const ROUNDS: u64 = 6;
const WORKERS: usize = 8;

/// What the operator set; the server has it from its environment.
const TOKEN: &str = "a token of the operator's, for this test alone";

struct Server {
    child: Child,
    address: String,
    answers: AtomicU64,
}

/// A request that may be sent again.
struct Asked {
    path: String,
    body: Value,
    idempotency_key: String,
}

/// One of the storm: it alone changes its licences, so it knows how each must be.
#[derive(Default)]
struct Worker {
    /// By id, as the last answer showed it.
    licenses: BTreeMap<String, Value>,
    keys: BTreeMap<String, String>,
    /// What was asked when the server ended.
    unanswered: Option<Asked>,
    asked: usize,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut child = countersign(data, &["serve", "--listen", "127.0.0.1:0", "--journal", "none"])
            .arg("--component")
            .arg(components().join("countersign-native.wasm"))
            .arg("--registrar")
            .arg(components().join("countersign-registrar-native.wasm"))
            .env("COUNTERSIGN_ADMIN_TOKEN", TOKEN)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let line = support::first_line(child.stdout.take().unwrap());
        let address = line.strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address, answers: AtomicU64::new(0) }
    }

    /// The answer, if there was one.
    fn send(&self, method: &str, path: &str, idempotency_key: Option<&str>, body: &Value) -> Option<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let idempotency_key = idempotency_key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\n{idempotency_key}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).ok()?;
        let (status, body) = receive(&mut stream).ok()?;
        self.answers.fetch_add(1, Ordering::Relaxed);
        Some((status, serde_json::from_str(&body).unwrap_or_default()))
    }

    /// The same, until it is another than "come again".
    fn ask(&self, method: &str, path: &str, idempotency_key: Option<&str>, body: &Value) -> Option<(u16, Value)> {
        support::until("an answer", || match self.send(method, path, idempotency_key, body) {
            Some((503, _)) => None,
            answer => Some(answer),
        })
    }

    /// The body of a 200.
    fn expect(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, body) = self.ask(method, path, None, body).unwrap();
        assert_eq!(status, 200, "{method} {path}: {body}");
        body
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Worker {
    /// Asks until the server is gone.
    fn storm(&mut self, server: &Server, name: &str) {
        while self.unanswered.is_none() {
            let asked = self.next(name);
            if !self.ask(server, &asked) {
                self.unanswered = Some(asked);
            }
        }
    }

    /// Now a new licence, now more time for one, now another status.
    fn next(&mut self, name: &str) -> Asked {
        self.asked += 1;
        let idempotency_key = format!("{name}-{}", self.asked);
        let live: Vec<_> = self.licenses.iter().filter(|(_, license)| license["status"] != "revoked").collect();
        let chosen = live.get(self.asked * 7 % live.len().max(1)).filter(|_| !self.asked.is_multiple_of(4));
        let Some((id, license)) = chosen else {
            let body = json!({ "product": "acme", "plan": "pro", "expiresAt": "2040-01-01T00:00:00Z" });
            return Asked { path: "/api/v1/licenses".into(), body, idempotency_key };
        };
        let (verb, body) = match self.asked % 4 {
            1 => ("renew", json!({ "durationSeconds": 86_400 })),
            2 if self.asked.is_multiple_of(3) => ("revoke", json!({})),
            2 => ("rotate-key", json!({})),
            _ if license["status"] == "suspended" => ("resume", json!({})),
            _ => ("suspend", json!({})),
        };
        Asked { path: format!("/api/v1/licenses/{id}/{verb}"), body, idempotency_key }
    }

    /// Notes the answer, if there was one. What is told to come again does.
    fn ask(&mut self, server: &Server, asked: &Asked) -> bool {
        let Some((status, mut license)) = server.ask("POST", &asked.path, Some(&asked.idempotency_key), &asked.body)
        else {
            return false;
        };
        assert!(matches!(status, 200 | 201), "{status} {license}");
        let id = license["id"].as_str().unwrap().to_owned();
        license.as_object_mut().unwrap().remove("propagated");
        if let Some(Value::String(key)) = license.as_object_mut().unwrap().remove("key")
            && let Some(old) = self.keys.insert(id.clone(), key)
        {
            self.keys.insert(format!("{id} before revision {}", license["revision"]), old);
        }
        self.licenses.insert(id, license);
        true
    }
}

#[test]
fn what_was_acknowledged_survives_and_what_is_asked_again_is_done_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data);
    assert_eq!(server.ask("POST", "/api/v1/products", None, &json!({ "code": "acme" })).unwrap().0, 201);
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| Worker::default()).collect();
    let again = AtomicU64::new(0);
    for round in 0..ROUNDS {
        thread::scope(|scope| {
            let server = &server;
            let name = |worker: usize| format!("round{round}-worker{worker}");
            for (number, worker) in workers.iter_mut().enumerate() {
                scope.spawn(move || worker.storm(server, &name(number)));
            }
            let enough = 60 + 41 * round;
            support::until("the storm is on", || (server.answers.load(Ordering::Relaxed) >= enough).then_some(()));
            let id = server.child.id().to_string();
            assert!(std::process::Command::new("kill").args(["-s", "KILL", &id]).status().unwrap().success());
        });
        drop(server);
        server = Server::start(&data);
        thread::scope(|scope| {
            for worker in &mut workers {
                let (server, again) = (&server, &again);
                scope.spawn(move || {
                    if let Some(asked) = worker.unanswered.take() {
                        again.fetch_add(1, Ordering::Relaxed);
                        assert!(worker.ask(server, &asked), "the server is there");
                    }
                });
            }
        });
        check(&server, &workers, round);
    }
    let licenses: usize = workers.iter().map(|worker| worker.licenses.len()).sum();
    println!("{licenses} licences, {} requests asked again", again.into_inner());
}

fn check(server: &Server, workers: &[Worker], round: u64) {
    while server.expect("POST", "/api/v1/outbox/deliveries", &json!({}))["left"] != 0 {}
    let expected: BTreeMap<&String, &Value> = workers.iter().flat_map(|worker| &worker.licenses).collect();
    let mut found = 0;
    let mut target = "/api/v1/licenses?limit=100".to_owned();
    loop {
        let page = server.expect("GET", &target, &Value::Null);
        for license in page["items"].as_array().unwrap() {
            found += 1;
            let id = license["id"].as_str().unwrap().to_owned();
            assert_eq!(Some(&license), expected.get(&id), "round {round}");
        }
        match page["next"].as_str() {
            Some(next) => target = format!("/api/v1/licenses?limit=100&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, expected.len(), "round {round}");

    for (of, key) in workers.iter().flat_map(|worker| &worker.keys) {
        let due = match expected.get(of).map(|license| (&license["status"], &license["expiresAt"])) {
            // The key that was before the last one.
            None => (json!("REVOKED"), None),
            Some((status, end)) if status == "active" => (json!("VALID"), Some(end.clone())),
            Some((status, end)) => (json!(status.as_str().unwrap().to_uppercase()), Some(end.clone())),
        };
        let verdict = server.expect("POST", "/api/v1/validate", &json!({ "key": key }));
        assert_eq!(verdict["code"], due.0, "round {round}: {verdict}");
        if let Some(end) = due.1 {
            assert_eq!(verdict["expiresAt"], end, "round {round}: {verdict}");
        }
    }
    let mut body = json!({});
    loop {
        let report = server.expect("POST", "/api/v1/reconcile", &body);
        assert_eq!((&report["repaired"], report["unknown"].as_u64().unwrap_or(0)), (&json!(0), 0), "round {round}");
        match report["next"].as_str() {
            Some(next) => body["cursor"] = next.into(),
            None => break,
        }
    }
}
