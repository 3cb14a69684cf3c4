//! Two listeners, and how a guesser of keys meets the first.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::process::Child;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{PATIENCE, lines, receive, serve_licence, until};

pub(crate) const TOKEN: &str = "an-administrator-of-these-tests-alone-1234";

/// A server with a licence and two listeners, killed on drop.
pub(crate) struct Serving {
    child: Child,
    pub(crate) public: String,
    pub(crate) vendors: String,
    pub(crate) key: String,
    directory: TempDir,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let arguments = [&["--vendor-listen", "127.0.0.1:0"], arguments].concat();
        let (key, mut serve) = serve_licence(directory.path(), TOKEN, &arguments);
        let mut child = serve.spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let address =
            |start: &str| until(start, || out.recv_timeout(PATIENCE).unwrap().strip_prefix(start).map(str::to_owned));
        let (public, vendors) = (address("listening on http://"), address("vendor API on http://"));
        Self { child, public, vendors, key, directory }
    }

    /// The lines of the journal for which this holds, once there is one.
    pub(crate) fn told(&self, what: &str, is_meant: impl Fn(&Value) -> bool) -> Vec<Value> {
        until(what, || {
            let journal = fs::read_to_string(self.directory.path().join("journal")).unwrap();
            let lines = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let found: Vec<_> = lines.filter(&is_meant).collect();
            (!found.is_empty()).then_some(found)
        })
    }

    /// The lines of the journal about refusals for this reason, once there is one.
    pub(crate) fn refusals(&self, reason: &str) -> Vec<Value> {
        self.told(reason, |line| line["event"] == "refusals" && line["reason"] == reason)
    }
}

/// The status and the body.
fn ask(address: &str, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    receive(&mut stream).unwrap()
}

fn validate(serving: &Serving, key: &str) -> (u16, Value) {
    let (status, body) = ask(&serving.public, "POST", "/api/v1/validate", "", &format!(r#"{{"key":"{key}"}}"#));
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn the_vendors_api_has_an_address_of_its_own() {
    let serving = Serving::start(&[]);
    for path in ["/api/v1/products", "/api/v1/tokens", "/api/v1/licenses/lic_1", "/openapi.json"] {
        let (status, body) = ask(&serving.public, "GET", path, TOKEN, "");
        assert!(status == 404 && body.contains(r#""code":"NO_SUCH_PATH""#), "{path}: {body}");
    }
    assert_eq!(ask(&serving.vendors, "GET", "/api/v1/products", TOKEN, "").0, 200);
    assert_eq!(ask(&serving.vendors, "GET", "/api/v1/products", "wrong", "").0, 401);
    assert_eq!(validate(&serving, &serving.key).0, 200);
    for address in [&serving.public, &serving.vendors] {
        assert_eq!(ask(address, "GET", "/readyz", "", "").0, 200);
    }
}

#[test]
fn an_address_that_guesses_keys_is_slowed_and_a_right_key_is_let_in() {
    let serving = Serving::start(&[]);
    let guess = |number: u32| validate(&serving, &format!("guess-{number}"));
    for number in 0..100 {
        let (status, verdict) = guess(number);
        assert_eq!((status, &verdict["code"], &verdict["valid"]), (404, &"NOT_FOUND".into(), &false.into()));
    }
    let refused = (100..200).map(guess).filter(|(status, _)| *status == 429).collect::<Vec<_>>();
    assert!(refused.len() > 80, "{}", refused.len());
    for (_, problem) in &refused {
        assert_eq!(problem["code"], "TOO_MANY_FAILURES");
        assert!(problem.get("valid").is_none(), "{problem}");
    }
    let (status, verdict) = validate(&serving, &serving.key);
    assert_eq!((status, &verdict["code"]), (200, &"VALID".into()));
    let (status, verdict) = validate(&serving, "ACME-00000-00000-00000-00000-00000-00001");
    assert_eq!((status, &verdict["code"]), (404, &"MALFORMED_KEY".into()), "a mistyped key is not a guess");
    let told = serving.refusals("unknown-key");
    assert!(told.iter().all(|line| line["client"] == "127.0.0.1" && line["count"].is_u64()), "{told:?}");
    assert!(!format!("{told:?}").contains("guess"));
}

#[test]
fn guesses_are_not_slowed_if_the_operator_says_so() {
    let serving = Serving::start(&["--free-unknown-keys", "0"]);
    assert!((0..300).all(|number| validate(&serving, &format!("guess-{number}")).0 == 404));
}

#[test]
fn the_journal_tells_from_where_a_wrong_token_came_and_no_other_address() {
    let serving = Serving::start(&[]);
    assert_eq!(ask(&serving.vendors, "GET", "/api/v1/products", TOKEN, "").0, 200);
    assert_eq!(ask(&serving.vendors, "GET", "/api/v1/products", "wrong", "").0, 401);
    let lines = until("both requests are in the journal", || {
        let journal = fs::read_to_string(serving.directory.path().join("journal")).unwrap();
        let lines: Vec<Value> = journal.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.iter().any(|line| line["status"] == 401).then_some(lines)
    });
    for line in lines.iter().filter(|line| line["event"] == "request") {
        let expected = if line["status"] == 401 { "127.0.0.1".into() } else { Value::Null };
        assert_eq!(line["client"], expected, "{line}");
    }
}
