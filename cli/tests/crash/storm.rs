//! `kill -9` of the server amid activations and consumption: what it answered is still true
//! afterwards, and no limit is exceeded.

use std::collections::BTreeSet;
use std::env;
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};

const ROUNDS: u64 = 5;
/// Clients of each kind: that activate, that consume, and that consume with an idempotency key.
const CLIENTS: usize = 4;
const SEATS: usize = 250;

/// `countersign serve` with the validator, killed on drop.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        let components =
            env::var_os("COUNTERSIGN_COMPONENTS").expect("COUNTERSIGN_COMPONENTS is not set: run `cargo xtask test`");
        let mut child = crate::support::countersign(data, &["serve", "--listen", "127.0.0.1:0", "--journal", "none"])
            .arg("--component")
            .arg(PathBuf::from(components).join("countersign-native.wasm"))
            .arg("--no-registrar")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let line = crate::support::first_line(child.stdout.take().unwrap());
        let address = line.strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(crate::support::PATIENCE))?;
        Ok(stream)
    }

    /// Sends the request until the answer is not a 503.
    fn ask(&self, verb: &str, body: &Value, idempotency_key: Option<&str>) -> Value {
        let mut stream = self.connect().unwrap();
        let (status, answer) = crate::support::until("an answer", || {
            Some(post(&mut stream, verb, body, idempotency_key).unwrap()).filter(|(status, _)| *status != 503)
        });
        assert_eq!(status, 200, "{verb} {body}: {answer}");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fails if the server is killed before the whole answer arrives.
fn post(stream: &mut TcpStream, verb: &str, body: &Value, idempotency_key: Option<&str>) -> io::Result<(u16, Value)> {
    let body = body.to_string();
    let idempotency_key = idempotency_key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /api/v1/{verb} HTTP/1.1\r\nhost: test\r\n{idempotency_key}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let (status, answer) = crate::support::receive(stream)?;
    Ok((status, serde_json::from_str(&answer)?))
}

/// What clients know from answers.
#[derive(Default)]
struct Known {
    /// Machines that got a seat.
    granted: BTreeSet<String>,
    attempted: u64,
    acknowledged: u64,
    /// All answers, 503s included.
    answers: u64,
    /// Acknowledged operations of each client with idempotency keys.
    keyed: [u64; CLIENTS],
}

impl Known {
    /// Whether there were at least this many answers, and some of each kind.
    fn is_storm(&self, answers: u64) -> bool {
        self.answers >= answers
            && self.granted.len() > 10
            && self.acknowledged > 10
            && self.keyed.iter().all(|operations| *operations > 0)
    }
}

/// The keys of the licences.
struct Keys {
    seats: String,
    credits: String,
    keyed: String,
}

#[test]
fn answers_stay_true_after_the_server_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let issue = |what: &[&str]| {
        let (code, issued, stderr) =
            crate::support::run(data, &[&["issue", "--json", "--product", "p", "--plan", "pro"], what].concat());
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str::<Value>(&issued).unwrap()["key"].as_str().unwrap().to_owned()
    };
    let credits = ["--allowance", "credits=1000000"];
    let keys = Keys {
        seats: issue(&["--seats", &SEATS.to_string(), "--manage", "all"]),
        credits: issue(&credits),
        keyed: issue(&credits),
    };
    let known = Mutex::new(Known::default());
    for round in 0..ROUNDS {
        let mut server = Server::start(data);
        check(&server, &keys, &known.lock().unwrap());
        let enough = known.lock().unwrap().answers + 300 + 101 * round;
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (server, keys, known) = (&server, &keys, &known);
                for act in [activate, consume, consume_once] {
                    let stream = server.connect().unwrap();
                    scope.spawn(move || act(stream, keys, known, round, client));
                }
            }
            crate::support::until("the storm is on", || known.lock().unwrap().is_storm(enough).then_some(()));
            let killed = std::process::Command::new("kill").args(["-9", &server.child.id().to_string()]).status();
            assert!(killed.unwrap().success());
        });
        server.child.wait().unwrap();
    }
    let server = Server::start(data);
    let mut known = known.into_inner().unwrap();
    check(&server, &keys, &known);
    // Each retries its last operation: it counts once, whether the kill came before or after it.
    for client in 0..CLIENTS {
        let body = consume_body(&keys.keyed, client);
        let answer = server.ask("usage", &body, Some(&operation(client, known.keyed[client])));
        assert_eq!(answer["applied"], true);
        known.keyed[client] += 1;
    }
    let sum: u64 = (0..CLIENTS).map(|client| known.keyed[client] * amount(client)).sum();
    assert_eq!(used(&server, &keys.keyed), sum);
}

/// The amount that a client consumes: another for each.
fn amount(client: usize) -> u64 {
    1 + client as u64
}

fn operation(client: usize, number: u64) -> String {
    format!("client-{client}-operation-{number}")
}

fn consume_body(key: &str, client: usize) -> Value {
    json!({ "key": key, "allowance": "credits", "consume": amount(client) })
}

fn activate(mut stream: TcpStream, keys: &Keys, known: &Mutex<Known>, round: u64, client: usize) {
    for number in 0.. {
        let machine = format!("{round}-{client}-{number}");
        let Ok((status, answer)) =
            post(&mut stream, "activate", &json!({ "key": keys.seats, "fingerprint": machine }), None)
        else {
            return;
        };
        let mut known = known.lock().unwrap();
        known.answers += 1;
        if status == 200 && answer["valid"] == true {
            known.granted.insert(machine);
        } else {
            assert!(status == 503 || answer["code"] == "TOO_MANY_ACTIVATIONS", "{answer}");
        }
    }
}

fn consume(mut stream: TcpStream, keys: &Keys, known: &Mutex<Known>, _: u64, client: usize) {
    loop {
        known.lock().unwrap().attempted += amount(client);
        let Ok((status, answer)) = post(&mut stream, "usage", &consume_body(&keys.credits, client), None) else {
            return;
        };
        let mut known = known.lock().unwrap();
        known.answers += 1;
        if status == 200 {
            assert_eq!(answer["applied"], true);
            known.acknowledged += amount(client);
        }
    }
}

fn consume_once(mut stream: TcpStream, keys: &Keys, known: &Mutex<Known>, _: u64, client: usize) {
    loop {
        let number = known.lock().unwrap().keyed[client];
        let answered = post(&mut stream, "usage", &consume_body(&keys.keyed, client), Some(&operation(client, number)));
        let Ok((status, answer)) = answered else { return };
        let mut known = known.lock().unwrap();
        known.answers += 1;
        if status == 200 {
            assert_eq!(answer["applied"], true);
            known.keyed[client] += 1;
        }
    }
}

/// Checks the server after a restart.
fn check(server: &Server, keys: &Keys, known: &Known) {
    for machine in &known.granted {
        let answer = server.ask("validate", &json!({ "key": keys.seats, "fingerprint": machine }), None);
        assert_eq!(answer["valid"], true, "the seat of {machine} is lost: {answer}");
    }
    let seats = server.ask("activations", &json!({ "key": keys.seats }), None)["activations"].as_array().unwrap().len();
    assert!((known.granted.len()..=SEATS).contains(&seats), "{seats} seats, {} were granted", known.granted.len());
    let used = used(server, &keys.credits);
    let (acknowledged, attempted) = (known.acknowledged, known.attempted);
    assert!((acknowledged..=attempted).contains(&used), "{used} is used of {acknowledged} to {attempted}");
}

fn used(server: &Server, key: &str) -> u64 {
    server.ask("usage", &json!({ "key": key, "allowance": "credits" }), None)["allowance"]["used"].as_u64().unwrap()
}
