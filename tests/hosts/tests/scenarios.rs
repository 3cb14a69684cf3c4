//! One list of HTTP scenarios (`scenarios/*.toml`) on every host:
//! `native::a-revoked-licence-is-refused`.
//!
//! Each host starts once and runs all scenarios in order; the trials judge the recording. There is
//! a trial for each scenario on each host, and others judge a whole recording or compare hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, anyhow, ensure};
use countersign_host_tests::artifacts;
use countersign_host_tests::client::Answer;
use countersign_host_tests::fixtures::{self, Fixture};
use countersign_host_tests::hosts::{App, Fault, Host, Setup};
use countersign_host_tests::scenario::{self, Scenario};
use countersign_host_tests::session::Session;
use countersign_host_tests::store::Capabilities;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

use document::Document;

#[path = "support/document.rs"]
mod document;

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let fixtures = fixtures::all()?;
    let placeholders = fixtures::placeholders(&fixtures)?;
    let scenarios: Arc<[Scenario]> = scenario::all(&placeholders)?.into();

    let sound: Vec<_> = Host::ALL.iter().map(|host| Recording::new(*host, None, &fixtures, &scenarios)).collect();
    let mut broken = Vec::new();
    for host in Host::ALL {
        for (fault, error) in host.faults() {
            let faults: Arc<[Scenario]> = scenario::faults(&placeholders, error)?.into();
            broken.push((Recording::new(host, Some(*fault), &fixtures, &faults), *error));
        }
    }

    // Scenario by scenario, not host by host, so that several hosts run at the same time.
    let mut trials = Vec::new();
    for place in 0..scenarios.len() {
        trials.extend(sound.iter().map(|recording| recording.scenario(place)));
    }
    for (recording, error) in &broken {
        trials.push(recording.trial("the-journal-has-the-reason", |_, session| journal_has_reason(session, error)));
    }
    for (recording, _) in &broken {
        trials.extend((0..recording.scenarios.len()).map(|place| recording.scenario(place)));
    }
    for recording in sound.iter().chain(broken.iter().map(|(recording, _)| recording)) {
        trials.push(recording.trial("the-journal-has-a-line-for-each-answer", journal_is_complete));
        trials.push(recording.trial("no-key-and-no-name-is-logged", no_key_and_no_name_is_logged));
    }
    for recording in &sound {
        trials.push(recording.trial("readyz-describes-the-store", readyz_describes_the_store));
    }
    let sound: Arc<[_]> = sound.into_iter().filter(|recording| recording.host.is_there()).collect();
    trials.extend((0..scenarios.len()).map(|place| same_everywhere(place, sound.clone())));
    Ok(libtest_mimic::run(&Arguments::from_args(), trials).exit_code())
}

/// A host and its session, which the first trial records.
struct Recording {
    host: Host,
    label: String,
    setup: Setup,
    scenarios: Arc<[Scenario]>,
    keys: BTreeSet<String>,
    /// The machines and users that the scenarios name.
    names: BTreeSet<String>,
    session: OnceLock<Result<Session>>,
}

impl Recording {
    fn new(host: Host, fault: Option<Fault>, fixtures: &[Fixture], scenarios: &Arc<[Scenario]>) -> Arc<Self> {
        let label = match fault {
            None => host.name().to_owned(),
            Some(fault) => format!("{}::store-{}", host.name(), format!("{fault:?}").to_lowercase()),
        };
        // Only the native host loses a store at run time. The others never reach theirs, which may
        // be empty.
        let entries = fixtures.iter().flat_map(Fixture::entries);
        let entries = if fault.is_none() || host == Host::Native { entries.collect() } else { Vec::new() };
        let setup = Setup { app: App::Validator, fault, entries, ..Setup::default() };
        let keys = fixtures.iter().map(|fixture| fixture.key.clone()).chain(scenarios.iter().filter_map(key_sent));
        let (keys, names) = (keys.collect(), scenarios.iter().flat_map(names_sent).collect());
        let scenarios = scenarios.iter().map(|scenario| scenario.on(host)).collect();
        Arc::new(Self { host, label, setup, scenarios, keys, names, session: OnceLock::new() })
    }

    fn session(&self) -> Result<&Session> {
        let session = self.session.get_or_init(|| Session::record(self.host, &self.setup, &self.scenarios));
        session.as_ref().map_err(|error| anyhow!("no session on {}: {error:#}", self.label))
    }

    fn answer(&self, place: usize) -> Result<&Answer> {
        self.session()?.answers[place].as_ref().map_err(|error| anyhow!("{} did not answer: {error:#}", self.label))
    }

    /// A trial that judges the whole recording.
    fn trial(
        self: &Arc<Self>,
        name: &str,
        judge: impl FnOnce(&Self, &Session) -> Result<()> + Send + 'static,
    ) -> Trial {
        let recording = Arc::clone(self);
        let run = move || recording.session().and_then(|session| judge(&recording, session)).map_err(failed);
        Trial::test(format!("{}::{name}", self.label), run).with_ignored_flag(!self.host.is_there())
    }

    fn scenario(self: &Arc<Self>, place: usize) -> Trial {
        let name = self.scenarios[place].name.clone();
        self.trial(&name, move |recording, session| {
            let (scenario, answer) = (&recording.scenarios[place], recording.answer(place)?);
            scenario.check(answer).with_context(|| format!("the host wrote\n{}", end(&session.log)))?;
            if let Some(key) = key_sent(scenario) {
                ensure!(!holds_key(&answer.text(), &key), "the answer contains the key");
            }
            is_as_documented(scenario, answer)
        })
        .with_ignored_flag(!self.host.is_there() || self.scenarios[place].except.contains_key(self.host.name()))
    }
}

/// Checks the answer against `openapi.json`, and the request too if it was accepted.
fn is_as_documented(scenario: &Scenario, answer: &Answer) -> Result<()> {
    static DOCUMENT: OnceLock<Result<Document>> = OnceLock::new();
    let document = DOCUMENT.get_or_init(Document::load).as_ref().map_err(|error| anyhow!("{error:#}"))?;
    document.check_answer(&scenario.method, &scenario.path, answer)?;
    if scenario.answer.is_some() && scenario.method == "POST" && !scenario.is_form() {
        let body = scenario.request_body();
        let mut body: Value = serde_json::from_str(countersign::body::text(&body).map_err(|error| anyhow!(error))?)?;
        let fields = body.as_object_mut().context("not an object")?;
        // As the document says, `null` is the same as a field that is left out, and white space at
        // the ends of these fields does not matter.
        fields.retain(|_, value| !value.is_null());
        for name in ["product", "domain", "version", "releasedAt"] {
            if let Some(Value::String(text)) = fields.get_mut(name) {
                *text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').into();
            }
        }
        document.check_request("POST", &scenario.path, &body)?;
    }
    Ok(())
}

fn readyz_describes_the_store(recording: &Recording, session: &Session) -> Result<()> {
    let answer = session.ready.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    ensure!(answer.status == 200, "status {}: {}", answer.status, answer.text());
    let mut body = answer.json()?;
    ensure!(body["status"] == "ready", "{body}");
    let limits = body["store"].as_object_mut().context("no store")?.remove("limits");
    let found: Capabilities = serde_json::from_value(body["store"].take())?;
    ensure!(found == recording.host.capabilities(), "{found:?}");
    let expected = match found.compare_and_swap.as_str() {
        "atomic" => "exact",
        "read-only" => "none",
        _ => "soft",
    };
    ensure!(limits == Some(expected.into()), "`limits` is {limits:?} and must be {expected}");
    Ok(())
}

fn journal_is_complete(recording: &Recording, session: &Session) -> Result<()> {
    let mut expected: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in recording.scenarios.iter().flat_map(Scenario::journal_lines) {
        *expected.entry(line).or_default() += 1;
    }
    let lines = journal_lines(session)?;
    let mut found: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in &lines {
        // Another one for an answer that began a licence's time.
        if line["event"] == "time-began" {
            ensure!(line["license"].is_string() && line["code"].is_null(), "{line}");
            continue;
        }
        let word = |name: &str| line[name].as_str().with_context(|| format!("no {name} in {line}"));
        *found.entry((word("event")?, word("code")?)).or_default() += 1;
        let fields = line.as_object().context("a journal line must be an object")?;
        let known = ["time", "event", "code", "license", "product", "hint", "durationMicros", "reason"];
        ensure!(fields.keys().all(|name| known.contains(&name.as_str())), "unknown field in {line}");
        ensure!(line["time"].is_string() && line["durationMicros"].is_u64(), "{line}");
        ensure!(line["product"].is_null() || line["product"] == "acme", "{line}");
        ensure!(line["license"].is_string() == line["product"].is_string(), "{line}");
    }
    ensure!(found == expected, "the lines by event and code are\n  {found:?}\nand must be\n  {expected:?}");
    Ok(())
}

/// The reason must be the case of the store's error.
fn journal_has_reason(session: &Session, kind: &str) -> Result<()> {
    let lines = journal_lines(session)?;
    let reasons: Vec<_> =
        lines.iter().filter(|line| line["code"] == "UNAVAILABLE").map(|line| &line["reason"]).collect();
    ensure!(
        !reasons.is_empty() && reasons.iter().all(|reason| *reason == kind),
        "the reasons are {reasons:?} and must be {kind}"
    );
    Ok(())
}

fn no_key_and_no_name_is_logged(recording: &Recording, session: &Session) -> Result<()> {
    ensure!(!session.log.is_empty(), "the log is empty, so it is not the host's log");
    let found = recording.keys.iter().find(|key| holds_key(&session.log, key));
    ensure!(found.is_none(), "the key {found:?} is in\n{}", session.log);
    let found = recording.names.iter().find(|name| session.log.contains(*name));
    ensure!(found.is_none(), "the name {found:?} is in\n{}", session.log);
    Ok(())
}

fn same_everywhere(place: usize, recordings: Arc<[Arc<Recording>]>) -> Trial {
    let name = format!("every-host::{}", recordings[0].scenarios[place].name);
    let run = move || {
        let first = &recordings[0].scenarios[place];
        let native = shown(first, recordings[0].answer(place)?)?;
        for other in &recordings[1..] {
            let scenario = &other.scenarios[place];
            // A read-only store gives another answer.
            if scenario.except.contains_key(other.host.name()) || scenario.status != first.status {
                continue;
            }
            let answer = shown(scenario, other.answer(place)?)?;
            ensure!(answer == native, "{}\n  {answer:?}\nnative\n  {native:?}", other.label);
        }
        Ok(())
    };
    Trial::test(name, move || run().map_err(failed))
}

/// The answer without the headers that hosts add.
fn shown<'a>(scenario: &Scenario, answer: &'a Answer) -> Result<(u16, BTreeMap<&'a str, &'a str>, String)> {
    let ours = |name: &str| {
        name.starts_with("access-control-")
            || ["allow", "cache-control", "content-type", "retry-after", "vary"].contains(&name)
    };
    let headers =
        answer.headers.iter().filter(|(name, _)| ours(name)).map(|(name, value)| (&**name, &**value)).collect();
    Ok((answer.status, headers, scenario.comparable(answer)?))
}

/// The machines and users that a scenario names. Leaves out words so short that a log may contain
/// them by chance.
fn names_sent(scenario: &Scenario) -> Vec<String> {
    let body: Value = serde_json::from_slice(&scenario.request_body()).unwrap_or_default();
    let texts = [&body["user"], &body["fingerprint"]].into_iter();
    let texts = texts.flat_map(|names| names.as_array().map_or(vec![names], |names| names.iter().collect()));
    texts.filter_map(|name| Some(name.as_str().filter(|name| name.len() >= 8)?.to_owned())).collect()
}

/// The key that a scenario sends, as typed.
fn key_sent(scenario: &Scenario) -> Option<String> {
    let body: Value = serde_json::from_slice(&scenario.request_body()).ok()?;
    Some(body["key"].as_str()?.to_owned())
}

/// Whether the text contains the key, as typed or normalised. Words too short for a key do not
/// count.
fn holds_key(text: &str, key: &str) -> bool {
    let bare =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect() };
    key.len() >= 16 && (text.contains(key) || bare(text).contains(&bare(key)))
}

fn journal_lines(session: &Session) -> Result<Vec<Value>> {
    let parse = |line: &str| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"));
    session.journal().into_iter().map(parse).collect()
}

/// The last lines of a log.
fn end(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}
