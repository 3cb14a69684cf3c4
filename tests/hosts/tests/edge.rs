//! An edge on Spin, by the manifest in `deploy/spin-edge`, and its origin on the native host.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use countersign_host_tests::artifacts;
use countersign_host_tests::client;
use countersign_host_tests::hosts::{App, Host, Running, Setup};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

use impostor::{Impostor, Kind};

#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#[path = "../../../cli/tests/edge/impostor.rs"]
mod impostor;

/// The operator's token at the origin.
const OPERATOR: &str = "an-operator-s-token-of-more-than-32-characters";

const WRONG_TOKEN: &str = "cst_00000000000000000000000000_00000000000000000000000000000000";

/// The longest wait for what happens later.
const PATIENCE: Duration = Duration::from_secs(60);

/// The edges' `fresh_seconds`.
const FRESH: Duration = Duration::from_secs(1);

/// For a request on a busy machine, and because ages are in whole seconds.
const SLACK: Duration = Duration::from_secs(2);

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let mut trials: Vec<_> = [
        ("what-is-issued-is-valid-and-what-is-revoked-is-refused", issued_and_revoked as fn() -> Result<()>),
        ("goes-on-without-its-origin", goes_on_without_its_origin),
        ("seats-are-the-origins", seats_are_the_origins),
        ("a-wrong-token-gives-no-verdict", a_wrong_token_gives_no_verdict),
        ("an-address-that-is-not-allowed-is-not-asked", an_address_that_is_not_allowed),
    ]
    .into_iter()
    .map(|(name, run)| trial(name.to_owned(), run))
    .collect();
    trials.extend(impostor::ALL.map(|kind| {
        let name = format!("{kind:?}").to_lowercase();
        trial(format!("an-impostor-gives-no-verdict::{name}"), move || an_impostor_gives_no_verdict(kind))
    }));
    Ok(libtest_mimic::run(&Arguments::from_args(), trials).exit_code())
}

fn trial(name: String, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let run = move || run().map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(format!("spin::{name}"), run).with_ignored_flag(!Host::Spin.is_there())
}

fn issued_and_revoked() -> Result<()> {
    let origin = Origin::start()?;
    let edge = origin.edge()?;
    let license = origin.issue(&json!({}))?;
    ensure!(code(&edge, &license)? == "VALID", "what was issued a moment ago works");
    origin.ask("POST", &format!("{}/revoke", path(&license)), &json!({}))?;
    let acknowledged = Instant::now();
    until("the revocation is obeyed", || Ok(code(&edge, &license)? == "REVOKED"))?;
    let took = acknowledged.elapsed();
    ensure!(took < FRESH + SLACK, "{took:?}");
    let (status, answer) = validate(&edge, &json!({ "key": "a key that nobody has" }))?;
    ensure!(status == 404 && answer["code"] == "NOT_FOUND", "{status} {answer}");
    Ok(())
}

fn goes_on_without_its_origin() -> Result<()> {
    let origin = Origin::start()?;
    let edge = origin.edge()?;
    let (known, suspended) = (origin.issue(&json!({}))?, origin.issue(&json!({}))?);
    origin.ask("POST", &format!("{}/suspend", path(&suspended)), &json!({}))?;
    ensure!(code(&edge, &known)? == "VALID" && code(&edge, &suspended)? == "SUSPENDED");
    drop(origin);
    until("the entry is not fresh any more", || {
        let (status, answer) = validate(&edge, &known)?;
        ensure!(status == 200 && answer["code"] == "VALID", "{status} {answer}");
        Ok(answer.get("staleSeconds").is_some())
    })?;
    // What would refuse cannot be confirmed, and what is not known cannot be found.
    let (status, answer) = validate(&edge, &suspended)?;
    ensure!(status == 503 && answer["reason"] == "unconfirmed", "{status} {answer}");
    let (status, answer) = validate(&edge, &json!({ "key": "a key that nobody has" }))?;
    ensure!(status == 503 && answer["code"] == "UNAVAILABLE" && answer.get("valid").is_none(), "{status} {answer}");
    ensure!(client::send(edge.address(), "GET", "/readyz", &[], b"")?.status == 200);
    let log = edge.process.log_when(|log| log.contains("origin-lost"));
    let lost = r#""event":"origin-lost","reason":"unavailable","detail":"the connection was refused""#;
    ensure!(log.contains(lost), "{log}");
    ensure!(!log.contains(key(&known)), "a key is in the log");
    Ok(())
}

fn seats_are_the_origins() -> Result<()> {
    let origin = Origin::start()?;
    let edge = origin.edge()?;
    let license = origin.issue(&json!({ "activation": { "limit": 2, "per": "machine" } }))?;
    let activate = |host: &Running, machine: &str| -> Result<Value> {
        let body = json!({ "key": key(&license), "fingerprint": [machine] });
        let (status, answer) = post(host, "activate", &body)?;
        ensure!(status == 200, "{status} {answer}");
        Ok(answer)
    };
    let granted = activate(&edge, "here")?;
    ensure!(granted["code"] == "VALID" && granted.get("warnings").is_none(), "{granted}");
    // The edge does not know of this seat when it takes the next one.
    ensure!(activate(&origin.0, "elsewhere")?["code"] == "VALID");
    let refused = activate(&edge, "there")?;
    ensure!(refused["code"] == "TOO_MANY_ACTIVATIONS", "{refused}");
    let shown = origin.ask("GET", &format!("{}/activations", path(&license)), &Value::Null)?;
    ensure!(shown["activations"].as_array().is_some_and(|seats| seats.len() == 2), "{shown}");
    Ok(())
}

fn a_wrong_token_gives_no_verdict() -> Result<()> {
    let origin = Origin::start()?;
    let edge = edge(&origin.url(), WRONG_TOKEN, true)?;
    let license = origin.issue(&json!({}))?;
    is_refused(&edge, &license, "access-denied")?;
    let log = edge.process.log_when(|log| log.contains("origin-lost"));
    ensure!(log.contains(r#""event":"origin-lost","reason":"access-denied""#), "{log}");
    ensure!(!log.contains(WRONG_TOKEN), "the token is in the log");
    Ok(())
}

/// The test's own manifest grants the component no address.
fn an_address_that_is_not_allowed() -> Result<()> {
    let origin = Origin::start()?;
    let edge = edge(&origin.url(), &origin.add_edge()?, false)?;
    let license = origin.issue(&json!({}))?;
    is_refused(&edge, &license, "access-denied")
}

/// The journal says what the adapter found: that it followed no redirect, waited no longer than its
/// time, and read no longer than its bound.
fn an_impostor_gives_no_verdict(kind: Kind) -> Result<()> {
    let server = Impostor::start(kind);
    let edge = edge(&server.url(), WRONG_TOKEN, true)?;
    is_refused(&edge, &json!({ "key": "a key that nobody has" }), "unavailable")?;
    let detail = match kind {
        Kind::Html | Kind::OtherJson => "what answers at origin_url is not an origin (status 200)",
        Kind::Redirect => "what answers at origin_url is not an origin (status 302)",
        Kind::Endless => "the origin's answer is too long",
        Kind::Nothing => "what came back is not HTTP",
        Kind::Silence => "the origin did not answer in time",
        Kind::NotBase64 => "the origin's answer is malformed",
    };
    let expected = format!(r#""event":"origin-lost","reason":"unavailable","detail":"{detail}""#);
    let log = edge.process.log_when(|log| log.contains(&expected));
    ensure!(log.contains(&expected), "{log}");
    ensure!(!log.contains(WRONG_TOKEN), "the token is in the log");
    Ok(())
}

/// An origin with a product `acme`, killed on drop.
struct Origin(Running);

impl Origin {
    fn start() -> Result<Self> {
        let settings = vec![("admin_token".into(), OPERATOR.into())];
        let origin = Self(Host::Native.start(&Setup { app: App::Registrar, settings, ..Setup::default() })?);
        origin.ask("POST", "/api/v1/products", &json!({ "code": "acme" }))?;
        Ok(origin)
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.address())
    }

    fn edge(&self) -> Result<Running> {
        edge(&self.url(), &self.add_edge()?, true)
    }

    fn add_edge(&self) -> Result<String> {
        let added = self.ask("POST", "/api/v1/tokens", &json!({ "name": "an edge", "role": "edge" }))?;
        Ok(added["token"].as_str().context("no token")?.to_owned())
    }

    fn issue(&self, terms: &Value) -> Result<Value> {
        let mut body = json!({ "product": "acme", "plan": "pro" });
        for (name, value) in terms.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.ask("POST", "/api/v1/licenses", &body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let authorization = format!("Bearer {OPERATOR}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = client::send(self.0.address(), method, path, &headers, body.as_bytes())?;
        ensure!((200..300).contains(&answer.status), "{method} {path}: {}", answer.text());
        answer.json()
    }
}

fn edge(origin: &str, token: &str, repository_manifest: bool) -> Result<Running> {
    let settings = [("origin_url", origin), ("origin_token", token), ("fresh_seconds", "1")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Host::Spin.start(&Setup { app: App::Edge, settings, repository_manifest, ..Setup::default() })
}

fn post(host: &Running, verb: &str, body: &Value) -> Result<(u16, Value)> {
    let headers = [("content-type", "application/json")];
    let body = body.to_string();
    let answer = client::send(host.address(), "POST", &format!("/api/v1/{verb}"), &headers, body.as_bytes())?;
    Ok((answer.status, answer.json()?))
}

fn validate(edge: &Running, license: &Value) -> Result<(u16, Value)> {
    post(edge, "validate", &json!({ "key": license["key"] }))
}

fn code(edge: &Running, license: &Value) -> Result<String> {
    let (status, answer) = validate(edge, license)?;
    Ok(answer["code"].as_str().with_context(|| format!("{status} {answer}"))?.to_owned())
}

fn is_refused(edge: &Running, license: &Value, reason: &str) -> Result<()> {
    let (status, answer) = validate(edge, license)?;
    ensure!(status == 503 && answer["reason"] == reason, "{status} {answer}\n{}", edge.process.log());
    ensure!(answer.get("valid").is_none(), "{answer}");
    Ok(())
}

fn key(license: &Value) -> &str {
    license["key"].as_str().unwrap_or_default()
}

fn path(license: &Value) -> String {
    format!("/api/v1/licenses/{}", license["id"].as_str().unwrap_or_default())
}

fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
