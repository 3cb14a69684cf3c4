//! Vendors that send a server many concurrent requests and remember its answers, for tests in which
//! it is killed or fails.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{PATIENCE, components, countersign, first_line, receive, until};

/// The admin token in the server's environment.
pub(crate) const TOKEN: &str = "a token of the operator's, for this test alone";

/// `countersign serve` with both components, killed on drop.
pub(crate) struct Server {
    pub(crate) child: Child,
    address: String,
    pub(crate) answers: AtomicU64,
}

/// A request that may be retried.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) idempotency_key: String,
}

/// A client of the server. Only it changes its licences, so it knows their state.
#[derive(Default)]
pub(crate) struct Worker {
    /// By id, as in the last answer.
    pub(crate) licenses: BTreeMap<String, Value>,
    pub(crate) keys: BTreeMap<String, String>,
    /// The last request, if it was not answered.
    pub(crate) unanswered: Option<Asked>,
    asked: usize,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_as(countersign(data, &["serve", "--journal", "none"]).stderr(Stdio::null()))
    }

    /// Starts a command that ends with `countersign serve`, with further arguments.
    pub(crate) fn start_as(command: &mut Command) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .arg("--component")
            .arg(components().join("countersign-native.wasm"))
            .arg("--registrar")
            .arg(components().join("countersign-registrar-native.wasm"))
            .env("COUNTERSIGN_ADMIN_TOKEN", TOKEN)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = first_line(child.stdout.take().unwrap());
        let address = line.strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address, answers: AtomicU64::new(0) }
    }

    /// Its address and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The answer, if there was one.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        idempotency_key: Option<&str>,
        body: &Value,
    ) -> Option<(u16, Value)> {
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

    /// As [`send`](Self::send), until the answer is not a 503.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        idempotency_key: Option<&str>,
        body: &Value,
    ) -> Option<(u16, Value)> {
        until("an answer", || match self.send(method, path, idempotency_key, body) {
            Some((503, _)) => None,
            answer => Some(answer),
        })
    }

    /// The body of an answer that must be a 200.
    pub(crate) fn expect(&self, method: &str, path: &str, body: &Value) -> Value {
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
    /// Sends requests until the server is gone.
    pub(crate) fn storm(&mut self, server: &Server, name: &str) {
        while self.unanswered.is_none() {
            let asked = self.next(name);
            if !self.ask(server, &asked) {
                self.unanswered = Some(asked);
            }
        }
    }

    /// The next request: a new licence, a renewal, a new key or a change of status.
    pub(crate) fn next(&mut self, name: &str) -> Asked {
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

    /// Sends a request, retries it on 503, and notes the answer. Returns whether there was one.
    pub(crate) fn ask(&mut self, server: &Server, asked: &Asked) -> bool {
        let answer = server.ask("POST", &asked.path, Some(&asked.idempotency_key), &asked.body);
        answer.map(|(status, license)| self.note(status, license)).is_some()
    }

    /// Notes the answer of a request that must have succeeded.
    pub(crate) fn note(&mut self, status: u16, mut license: Value) {
        assert!(matches!(status, 200 | 201), "{status} {license}");
        let id = license["id"].as_str().unwrap().to_owned();
        license.as_object_mut().unwrap().remove("propagated");
        if let Some(Value::String(key)) = license.as_object_mut().unwrap().remove("key")
            && let Some(old) = self.keys.insert(id.clone(), key)
        {
            self.keys.insert(format!("{id} before revision {}", license["revision"]), old);
        }
        self.licenses.insert(id, license);
    }
}

/// Checks that a server and its store have what the workers were answered, and nothing else.
pub(crate) fn check(server: &Server, workers: &[Worker], round: u64) {
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
            // A key that was rotated.
            None => (json!("REVOKED"), None),
            Some((status, end)) if status == "active" => (json!("VALID"), Some(end.clone())),
            // A revoked licence tells nothing else.
            Some((status, _)) if status == "revoked" => (json!("REVOKED"), None),
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
