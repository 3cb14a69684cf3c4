//! The vendor's API on every host with a database: the tour of `scenarios/registrar.toml`, such as
//! `spin::its-key-is-rotated`, and what only the native host does.

use std::fs;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use countersign_host_tests::client::Answer;
use countersign_host_tests::hosts::{App, Host, Running, Setup};
use countersign_host_tests::store::{Expect, Store};
use countersign_host_tests::tour::{self, Kept, Step};
use countersign_host_tests::{artifacts, client};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

use document::Document;

#[path = "support/document.rs"]
mod document;

/// The hosts with a database.
const HOSTS: [Host; 2] = [Host::Native, Host::Spin];

/// How the line begins that says where the first token is.
const SHOWN: &str = "admin token  ";

/// The operator's token on Spin.
const OPERATOR: &str = "an-operator-s-token-of-more-than-32-characters";

/// The longest wait for the host's background work.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let steps: Arc<[Step]> = tour::steps()?.into();
    let tours = HOSTS.map(|host| Arc::new(Tour { host, steps: steps.clone(), walked: Mutex::default() }));
    let mut trials = Vec::new();
    for place in 0..steps.len() {
        trials.extend(tours.iter().map(|tour| tour.trial(place)));
    }
    for (name, run) in [
        ("the-first-token-is-written-once", the_first_token_is_written_once as fn() -> Result<()>),
        ("each-app-writes-its-own-part-of-the-store", each_app_writes_its_own_part),
        ("validations-are-counted", validations_are_counted),
        ("a-first-use-is-known-to-the-registrar", a_first_use_is_known_to_the_registrar),
        ("a-missed-record-is-delivered-later", a_missed_record_is_delivered_later),
        ("without-a-registrar-its-paths-are-unknown", without_a_registrar_its_paths_are_unknown),
        ("an-operator-may-set-a-token", an_operator_may_set_a_token),
    ] {
        trials.push(Trial::test(format!("native::{name}"), move || run().map_err(failed)));
    }
    for (name, run) in [
        ("a-client-cannot-choose-its-address", a_client_cannot_choose_its_address as fn() -> Result<()>),
        ("a-weak-token-is-not-taken-and-the-log-says-why", a_weak_token_is_not_taken),
        ("what-was-written-is-there-after-a-restart", what_was_written_is_there_after_a_restart),
    ] {
        let trial = Trial::test(format!("spin::{name}"), move || run().map_err(failed));
        trials.push(trial.with_ignored_flag(!Host::Spin.is_there()));
    }
    Ok(libtest_mimic::run(&Arguments::from_args(), trials).exit_code())
}

/// A host on which the steps run in order, each once.
struct Tour {
    host: Host,
    steps: Arc<[Step]>,
    walked: Mutex<Option<Walked>>,
}

struct Walked {
    running: Running,
    kept: Kept,
    results: Vec<Result<(), String>>,
}

impl Tour {
    fn trial(self: &Arc<Self>, place: usize) -> Trial {
        let tour = Arc::clone(self);
        let name = format!("{}::{}", self.host.name(), self.steps[place].name);
        Trial::test(name, move || tour.walk_to(place)).with_ignored_flag(!self.host.is_there())
    }

    /// Runs the steps up to this one that have not run, and returns this one's result.
    fn walk_to(&self, place: usize) -> Result<(), Failed> {
        let mut walked = self.walked.lock().unwrap_or_else(PoisonError::into_inner);
        let walked = match &mut *walked {
            Some(walked) => walked,
            none => none.insert(start(self.host).map_err(failed)?),
        };
        while walked.results.len() <= place {
            let step = &self.steps[walked.results.len()];
            let result = step.walk(walked.running.address(), &mut walked.kept, is_as_documented);
            walked.results.push(result.map_err(|error| format!("{error:#}")));
        }
        walked.results[place].clone().map_err(|error| {
            let log = walked.running.process.log();
            format!("{error}\nthe host wrote\n{log}").into()
        })
    }
}

/// Checks the answer against `openapi.json`, and the request too if it was accepted.
fn is_as_documented(method: &str, path: &str, body: &str, answer: &Answer) -> Result<()> {
    static DOCUMENT: OnceLock<Result<Document>> = OnceLock::new();
    let document = DOCUMENT.get_or_init(Document::load).as_ref().map_err(|error| anyhow!("{error:#}"))?;
    document.check_answer(method, path, answer)?;
    match serde_json::from_str(body) {
        Ok(body) if answer.status < 300 => document.check_request(method, path, &body),
        _ => Ok(()),
    }
}

fn start(host: Host) -> Result<Walked> {
    let settings = if host == Host::Spin { vec![("admin_token".into(), OPERATOR.into())] } else { Vec::new() };
    let running = host.start(&Setup { app: App::Registrar, settings, ..Setup::default() })?;
    let admin = if host == Host::Spin { OPERATOR.to_owned() } else { first_token(&running)? };
    Ok(Walked { running, kept: Kept::from([("admin".into(), admin)]), results: Vec::new() })
}

/// The administrator's token, which the native host writes to a file at its first start.
fn first_token(running: &Running) -> Result<String> {
    let log = running.process.log_when(|log| log.contains(SHOWN));
    let file = running.directory.path().join("data/admin-token");
    let token = fs::read_to_string(&file).with_context(|| format!("no token; the log is\n{log}"))?;
    Ok(token.trim_end().to_owned())
}

fn the_first_token_is_written_once() -> Result<()> {
    let running = native()?;
    let token = first_token(&running)?;
    ask(&running, &token, "GET", "/api/v1/tokens", "")?;
    ensure!(!running.process.log().contains(&token), "the token must not be in the log");
    let again = Host::Native.start_beside(&running, &Setup { app: App::Registrar, ..Setup::default() })?;
    // The host writes its token before it answers.
    ask(&again, &token, "GET", "/api/v1/tokens", "")?;
    let log = again.process.log();
    ensure!(!log.contains(SHOWN), "the second start writes a token:\n{log}");
    Ok(())
}

fn each_app_writes_its_own_part() -> Result<()> {
    let running = Host::Native.start(&Setup { app: App::Contract, ..Setup::default() })?;
    // The guest is both apps: the first path is the validator's, the second the registrar's.
    for (path, mine, others) in [
        ("/store", ["state:a", "operation:a"].as_slice(), ["license:a"].as_slice()),
        ("/api/v1/licenses/store", &["license:a", "state:a"], &["operation:a"]),
    ] {
        let call = |call: Value| -> Result<Value> {
            client::send(running.address(), "POST", path, &[], call.to_string().as_bytes())?.json()
        };
        for key in mine {
            let put = call(json!({ "op": "put", "key": key, "value": "1" }))?;
            ensure!(put["ok"]["stored"].is_string(), "{path} does not write {key}: {put}");
        }
        for key in others {
            for expect in [json!("any"), json!("absent"), json!({ "matches": "1" })] {
                let put = call(json!({ "op": "put", "key": key, "value": "2", "expect": expect }))?;
                ensure!(put["error"]["kind"] == "access-denied", "{path} writes {key}: {put}");
            }
            let deleted = call(json!({ "op": "delete", "key": key }))?;
            ensure!(deleted["error"]["kind"] == "access-denied", "{path} deletes {key}: {deleted}");
        }
    }
    let store = Store { address: running.address() };
    for key in ["state:a", "operation:a", "license:a"] {
        let entry = store.get(key)?.ok().flatten().with_context(|| format!("no {key}"))?;
        ensure!(entry.value == "1", "{entry:?}");
    }
    ensure!(store.put("license:b", "1", Expect::Any)?.is_ok(), "the registrar cannot write its own part");
    Ok(())
}

fn validations_are_counted() -> Result<()> {
    let running = native()?;
    let token = first_token(&running)?;
    let (key, id) = issue(&running, &token)?;
    for (domain, times) in [("a.example", 3), ("b.example", 2)] {
        let body = json!({ "key": key, "domain": domain }).to_string();
        for _ in 0..times {
            client::send(running.address(), "POST", "/api/v1/validate", &[], body.as_bytes())?;
        }
    }
    let path = format!("/api/v1/stats?license={id}");
    let counted = json!({ "VALID": 3, "DOMAIN_MISMATCH": 2 });
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stats = ask(&running, &token, "GET", &path, "")?;
        if stats["validations"]["days"][0]["codes"] == counted {
            break;
        }
        ensure!(Instant::now() < deadline, "{stats}");
        thread::sleep(Duration::from_millis(100));
    }

    // At its end the host reports the counts that it still holds.
    let body = json!({ "key": key, "domain": "a.example" }).to_string();
    client::send(running.address(), "POST", "/api/v1/validate", &[], body.as_bytes())?;
    let Running { process, directory } = running;
    process.stop()?;
    let again = Host::Native.start_on(directory, &Setup { app: App::Registrar, ..Setup::default() })?;
    let stats = ask(&again, &token, "GET", &path, "")?;
    ensure!(stats["validations"]["days"][0]["codes"]["VALID"] == 4, "{stats}");
    ensure!(stats["validations"]["lost"] == 0, "{stats}");
    Ok(())
}

/// The host passes on by itself what its journal says.
fn a_first_use_is_known_to_the_registrar() -> Result<()> {
    let running = native()?;
    let token = first_token(&running)?;
    ask(&running, &token, "POST", "/api/v1/products", r#"{"code":"acme"}"#)?;
    let trial = r#"{"product":"acme","plan":"pro","expiryBasis":"first-validation","duration":"10d"}"#;
    let issued = ask(&running, &token, "POST", "/api/v1/licenses", trial)?;
    let body = json!({ "key": issued["key"] }).to_string();
    let verdict = client::send(running.address(), "POST", "/api/v1/validate", &[], body.as_bytes())?.json()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = ask(&running, &token, "GET", "/api/v1/licenses?expiringBefore=9999-01-01", "")?;
        if list["items"][0]["endsAt"] == verdict["expiresAt"] {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{list}\n{}", running.process.log());
        thread::sleep(Duration::from_millis(100));
    }
}

/// The host delivers by itself once the store is back.
fn a_missed_record_is_delivered_later() -> Result<()> {
    let running = native()?;
    let token = first_token(&running)?;
    let (key, id) = issue(&running, &token)?;
    let data = running.directory.path().join("data");
    let (store, aside) = (data.join("countersign.db"), data.join("aside.db"));
    fs::rename(&store, &aside)?;
    let suspended = ask(&running, &token, "POST", &format!("/api/v1/licenses/{id}/suspend"), "")?;
    ensure!(suspended["status"] == "suspended" && suspended["propagated"] == false, "{suspended}");
    let outbox = ask(&running, &token, "GET", "/api/v1/stats", "")?["outbox"].take();
    ensure!(outbox["depth"] == 1 && outbox["oldestSeconds"].is_u64(), "{outbox}");
    fs::rename(&aside, &store)?;
    let body = json!({ "key": key }).to_string();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let verdict = client::send(running.address(), "POST", "/api/v1/validate", &[], body.as_bytes())?;
        match verdict.json()?["code"].as_str() {
            Some("SUSPENDED") => return Ok(()),
            _ => ensure!(Instant::now() < deadline, "{}\n{}", verdict.text(), running.process.log()),
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn without_a_registrar_its_paths_are_unknown() -> Result<()> {
    let running = Host::Native.start(&Setup::default())?;
    let answer = client::send(running.address(), "GET", "/api/v1/licenses", &[], b"")?;
    ensure!(answer.status == 404 && answer.json()?["code"] == "NO_SUCH_PATH", "{}", answer.text());
    ensure!(
        !running.directory.path().join("data/registrar.db").exists(),
        "the host has created the registrar's database"
    );
    Ok(())
}

fn an_operator_may_set_a_token() -> Result<()> {
    let settings = vec![("admin_token".into(), OPERATOR.into()), ("host_token".into(), OPERATOR.to_uppercase())];
    let running = Host::Native.start(&Setup { app: App::Registrar, settings, ..Setup::default() })?;
    ask(&running, OPERATOR, "GET", "/api/v1/tokens", "")?;
    let authorization = format!("Bearer {}", OPERATOR.to_uppercase());
    let headers = [("authorization", authorization.as_str())];
    let answer = client::send(running.address(), "GET", "/api/v1/tokens", &headers, b"")?;
    ensure!(answer.status == 401, "a setting has replaced the host's own token");
    Ok(())
}

/// Spin tells a component the address in a header, which clients may send too.
fn a_client_cannot_choose_its_address() -> Result<()> {
    let running = spin(OPERATOR)?;
    let mut statuses = Vec::new();
    for number in 1..=20 {
        let address = format!("192.0.2.{number}:1");
        let headers = [("authorization", "Bearer wrong"), ("spin-client-addr", &address)];
        statuses.push(client::send(running.address(), "GET", "/api/v1/tokens", &headers, b"")?.status);
    }
    ensure!(statuses[0] == 401 && statuses[19] == 429, "{statuses:?}");
    ensure!(!running.process.log().contains("192.0.2."), "the log has an address that a client chose");
    Ok(())
}

fn a_weak_token_is_not_taken() -> Result<()> {
    let weak = "a-token-that-is-too-short";
    let running = spin(weak)?;
    let authorization = format!("Bearer {weak}");
    let headers = [("authorization", authorization.as_str())];
    let answer = client::send(running.address(), "GET", "/api/v1/tokens", &headers, b"")?;
    ensure!(answer.status == 401, "{}", answer.text());
    let log = running.process.log_when(|log| log.contains("weak-setting"));
    ensure!(log.contains("weak-setting") && log.contains("admin_token") && !log.contains(weak), "{log}");
    Ok(())
}

fn what_was_written_is_there_after_a_restart() -> Result<()> {
    let running = spin(OPERATOR)?;
    let (key, id) = issue(&running, OPERATOR)?;
    let Running { process, directory } = running;
    process.stop()?;
    let settings = vec![("admin_token".into(), OPERATOR.into())];
    let again = Host::Spin.start_on(directory, &Setup { app: App::Registrar, settings, ..Setup::default() })?;
    let found = ask(&again, OPERATOR, "GET", &format!("/api/v1/licenses/{id}"), "")?;
    ensure!(found["status"] == "active", "{found}");
    let body = json!({ "key": key, "domain": "a.example" }).to_string();
    let verdict = client::send(again.address(), "POST", "/api/v1/validate", &[], body.as_bytes())?.json()?;
    ensure!(verdict["code"] == "VALID", "{verdict}");
    Ok(())
}

fn spin(token: &str) -> Result<Running> {
    let settings = vec![("admin_token".into(), token.into())];
    Host::Spin.start(&Setup { app: App::Registrar, settings, ..Setup::default() })
}

/// The key and the id of a licence for `a.example`.
fn issue(host: &Running, token: &str) -> Result<(String, String)> {
    ask(host, token, "POST", "/api/v1/products", r#"{"code":"acme"}"#)?;
    let issued = r#"{"product":"acme","plan":"pro","domains":["a.example"]}"#;
    let issued = ask(host, token, "POST", "/api/v1/licenses", issued)?;
    let text = |name: &str| issued[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {issued}"));
    Ok((text("key")?, text("id")?))
}

fn native() -> Result<Running> {
    Host::Native.start(&Setup { app: App::Registrar, ..Setup::default() })
}

fn ask(host: &Running, token: &str, method: &str, target: &str, body: &str) -> Result<Value> {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let answer = client::send(host.address(), method, target, &headers, body.as_bytes())?;
    if !(200..300).contains(&answer.status) {
        bail!("status {} to {method} {target}: {}\n{}", answer.status, answer.text(), host.process.log());
    }
    answer.json()
}

fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}
