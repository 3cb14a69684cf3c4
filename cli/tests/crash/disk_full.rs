//! A server with a full disk reports each write that fails, continues once there is room, and loses
//! nothing.
//!
//! The kernel's limit on the size of a file (`RLIMIT_FSIZE`) replaces a full disk here: writes
//! beyond it fail (`EFBIG`) as on a full disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::support::vendors::{Asked, Server, Worker, check};
use crate::support::{countersign, run, until};
use rusqlite::Connection;
use serde_json::{Value, json};

const DATABASES: [&str; 2] = ["countersign.db", "registrar.db"];

/// Failed writes in a row after which there is no room.
const ENOUGH: u32 = 4;

/// More changes than fit.
const ENDLESS: u64 = 900;

/// The holders of a licence, who take seats and consume.
struct Holders {
    key: String,
    asked: u64,
    seats: BTreeSet<String>,
    used: u64,
    /// Refused changes: of seats, and of consumption.
    refused: [u64; 2],
}

/// A vendor, with the verdicts that each licence may have: two if the last change did not reach the
/// store.
#[derive(Default)]
struct Vendor {
    worker: Worker,
    verdicts: BTreeMap<String, BTreeSet<String>>,
    unpropagated: u32,
}

/// SQLite restarts a log at 1,000 pages of 4 KiB. This limit is below.
#[test]
fn nothing_is_lost_if_logs_cannot_grow() {
    fill(1024);
}

/// The logs could restart, if the databases could take their pages.
#[test]
fn nothing_is_lost_if_databases_cannot_grow() {
    fill(5 * 1024);
}

fn fill(limit_kib: u64) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(Server::start(&data));
    for database in DATABASES {
        // All further pages are beyond the limit.
        let filler = format!("CREATE TABLE filler (bytes); INSERT INTO filler VALUES (zeroblob({limit_kib} * 1024))");
        Connection::open(data.join(database)).unwrap().execute_batch(&filler).unwrap();
    }
    let server = Server::start(&data);
    assert_eq!(server.ask("POST", "/api/v1/products", None, &json!({ "code": "acme" })).unwrap().0, 201);
    let mut owner = Worker::default();
    let mut holders = ["one", "other"].map(|name| Holders::of_new_license(&mut owner, &server, name));
    let mut vendors = [(); 3].map(|()| Vendor::default());
    drop(server);
    for database in DATABASES {
        // Closing the last connection empties the log.
        Connection::open(data.join(database)).unwrap().query_row("SELECT 1 FROM filler", [], |_| Ok(())).unwrap();
    }

    for start in ["first", "second"] {
        let server = start_limited(directory.path(), &data, limit_kib);
        thread::scope(|scope| holders.iter_mut().for_each(|holders| drop(scope.spawn(|| holders.fill(&server)))));
        thread::scope(|scope| {
            for (number, vendor) in vendors.iter_mut().enumerate() {
                let (server, name) = (&server, format!("{start}-start-vendor{number}"));
                scope.spawn(move || vendor.fill(server, &name));
            }
        });
        holders.iter().for_each(|holders| holders.validate(&server));
        vendors.iter().for_each(|vendor| vendor.validate(&server));
        server.expect("GET", "/readyz", &Value::Null);
        server.expect("GET", "/api/v1/licenses?limit=100", &Value::Null);
        for name in ["journal", "log"] {
            assert_eq!(fs::metadata(directory.path().join(name)).unwrap().len(), limit_kib * 1024, "{name}");
        }
        if start == "first" {
            lift_limit(&server);
            holders.iter_mut().for_each(|holders| until("there is room", || holders.ask(&server).then_some(())));
            vendors.iter_mut().for_each(|vendor| vendor.ask_again(&server));
        }
    }
    assert!(vendors.iter().any(|vendor| vendor.unpropagated > 0), "the store was full before the database");

    let server = Server::start(&data);
    vendors.iter_mut().for_each(|vendor| vendor.ask_again(&server));
    holders.iter().for_each(|holders| holders.check(&server));
    owner.keys.clear();
    let mut workers = vec![owner];
    workers.extend(vendors.into_iter().map(|vendor| vendor.worker));
    check(&server, &workers, 0);
    drop(server);
    for (words, found) in [(["reconcile", "--json"], "\"repaired\":0"), (["audit", "verify"], "none was changed")] {
        let (code, out, err) = run(&data, &words);
        assert!(code == 0 && out.contains(found), "{words:?}: {out}{err}");
    }
}

/// Starts a server with limited files. Its journal and its log have reached the limit.
fn start_limited(directory: &Path, data: &Path, limit_kib: u64) -> Server {
    for name in ["journal", "log"] {
        File::create(directory.join(name)).unwrap().set_len(limit_kib * 1024).unwrap();
    }
    let serve = countersign(data, &["serve"]);
    // In blocks of 512 bytes, as POSIX defines it.
    let limit = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$@\"", limit_kib * 2);
    let mut command = Command::new("sh");
    command.args(["-c", &limit, "sh"]).arg(serve.get_program()).args(serve.get_args());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.arg("--journal").arg(directory.join("journal"));
    command.env("COUNTERSIGN_CACHE", directory.join("cache"));
    command.stderr(File::options().append(true).open(directory.join("log")).unwrap());
    Server::start_as(&mut command)
}

/// Lifts the limit: it is a soft one, which its owner may raise.
fn lift_limit(server: &Server) {
    let id = server.child.id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited"]).status().unwrap().success());
}

impl Holders {
    /// The holders of a new licence, with their first seat.
    fn of_new_license(owner: &mut Worker, server: &Server, name: &str) -> Self {
        let body = json!({
            "product": "acme",
            "plan": "pro",
            "activation": { "per": "machine", "limit": 1_000, "manage": "all" },
            "allowances": [{ "name": "reports", "limit": 1_000_000 }],
        });
        let asked = Asked { path: "/api/v1/licenses".into(), body, idempotency_key: name.into() };
        let known: BTreeSet<String> = owner.keys.keys().cloned().collect();
        assert!(owner.ask(server, &asked), "the server is running");
        let (_, key) = owner.keys.iter().find(|(id, _)| !known.contains(*id)).unwrap();
        let mut holders = Self { key: key.clone(), asked: 0, seats: BTreeSet::new(), used: 0, refused: [0; 2] };
        assert!(holders.ask(server));
        holders
    }

    /// Takes a seat or consumes, in turn. Returns whether it succeeded.
    fn ask(&mut self, server: &Server) -> bool {
        self.asked += 1;
        let consumes = self.asked.is_multiple_of(2);
        let operation = self.asked.to_string();
        let body = json!({ "key": self.key, "fingerprint": format!("machine {}", self.asked) });
        let (verb, key, body) = match consumes {
            true => ("usage", Some(operation.as_str()), self.body(&json!({ "allowance": "reports", "consume": 1 }))),
            false => ("activate", None, body),
        };
        let (status, answer) = server.send("POST", &format!("/api/v1/{verb}"), key, &body).unwrap();
        if status == 503 {
            assert!(answer["code"] == "UNAVAILABLE" && answer["valid"].is_null(), "{answer}");
            self.refused[usize::from(consumes)] += 1;
            return false;
        }
        assert_eq!((status, &answer["code"]), (200, &json!("VALID")), "{answer}");
        if consumes {
            self.used += 1;
        } else {
            self.seats.insert(answer["activation"]["id"].as_str().unwrap().into());
        }
        true
    }

    /// Takes seats, consumes and validates until there is no room.
    fn fill(&mut self, server: &Server) {
        let mut refused = 0;
        while refused < ENOUGH {
            assert!(self.asked < ENDLESS, "the limit was never reached");
            refused = if self.ask(server) { 0 } else { refused + 1 };
            self.validate(server);
        }
    }

    fn validate(&self, server: &Server) {
        let verdict = server.expect("POST", "/api/v1/validate", &self.body(&json!({})));
        assert_eq!(verdict["code"], "VALID", "{verdict}");
    }

    /// Checks that the server has what was acknowledged, and nothing that was not requested.
    fn check(&self, server: &Server) {
        let taken = server.expect("POST", "/api/v1/activations", &json!({ "key": self.key }));
        let taken = taken["activations"].as_array().unwrap().iter();
        let taken: BTreeSet<String> = taken.map(|seat| seat["id"].as_str().unwrap().to_owned()).collect();
        assert!(taken.is_superset(&self.seats), "{:?}", self.seats.difference(&taken));
        assert!(taken.len() as u64 <= self.seats.len() as u64 + self.refused[0]);
        let usage = server.expect("POST", "/api/v1/usage", &self.body(&json!({ "allowance": "reports" })));
        let used = usage["allowance"]["used"].as_u64().unwrap();
        assert!((self.used..=self.used + self.refused[1]).contains(&used), "{used} of {} used", self.used);
    }

    /// A request body of the first machine.
    fn body(&self, more: &Value) -> Value {
        let mut body = json!({ "key": self.key, "fingerprint": "machine 1" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }
}

impl Vendor {
    /// Sends requests until there is no room, beginning with the last that was refused.
    fn fill(&mut self, server: &Server, name: &str) {
        let mut refused = 0;
        while refused < ENOUGH {
            let asked = self.worker.unanswered.take().unwrap_or_else(|| self.worker.next(name));
            let (status, answer) = server.send("POST", &asked.path, Some(&asked.idempotency_key), &asked.body).unwrap();
            if status == 503 {
                assert!(answer["code"] == "UNAVAILABLE" && answer["valid"].is_null(), "{answer}");
                self.worker.unanswered = Some(asked);
                refused += 1;
            } else {
                self.note(status, answer);
                refused = 0;
            }
        }
    }

    /// Retries the last request that was refused until it succeeds.
    fn ask_again(&mut self, server: &Server) {
        let asked = self.worker.unanswered.take().unwrap();
        let answer = server.ask("POST", &asked.path, Some(&asked.idempotency_key), &asked.body);
        let (status, license) = answer.unwrap();
        self.note(status, license);
    }

    fn note(&mut self, status: u16, license: Value) {
        let verdicts = self.verdicts.entry(license["id"].as_str().unwrap().into()).or_default();
        match license["propagated"].as_bool().unwrap() {
            true => verdicts.clear(),
            false => self.unpropagated += 1,
        }
        if license["propagated"] == false && license["key"].is_string() {
            verdicts.insert("NOT_FOUND".into());
        }
        verdicts.insert(match license["status"].as_str().unwrap() {
            "active" => "VALID".into(),
            other => other.to_uppercase(),
        });
        self.worker.note(status, license);
    }

    /// Checks that no verdict is wrong. The request refused last may have taken effect, if only its
    /// answer was late.
    fn validate(&self, server: &Server) {
        let refused = &self.worker.unanswered.as_ref().unwrap().path;
        for (id, verdicts) in self.verdicts.iter().filter(|(id, _)| !refused.contains(*id)) {
            let body = json!({ "key": self.worker.keys[id] });
            let (_, verdict) = server.ask("POST", "/api/v1/validate", None, &body).unwrap();
            assert!(verdicts.contains(verdict["code"].as_str().unwrap()), "{verdict} is not among {verdicts:?}");
        }
    }
}
