//! schemathesis (`tests/api`) tests both apps from `openapi.json` on real hosts: `native::holder`.

use std::collections::BTreeMap;
use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use countersign::license::License;
use countersign_host_tests::artifacts;
use countersign_host_tests::client;
use countersign_host_tests::fixtures::{self, Fixture};
use countersign_host_tests::hosts::{App, Host, Setup};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

/// The operator's token of a host that runs for one trial.
const TOKEN: &str = "an-operator-s-token-of-36-characters";

/// One run of schemathesis.
#[derive(Clone, Copy)]
struct Drive {
    host: Host,
    /// The tag of the operations to test.
    tag: &'static str,
    phases: &'static str,
    /// Generated cases, for each operation and phase.
    cases: u32,
}

const DRIVES: [Drive; 4] = [
    Drive { host: Host::Native, tag: "holder", phases: "examples,coverage,fuzzing", cases: 30 },
    Drive { host: Host::Native, tag: "vendor", phases: "examples,coverage,fuzzing,stateful", cases: 10 },
    Drive { host: Host::Spin, tag: "holder", phases: "examples", cases: 1 },
    Drive { host: Host::Spin, tag: "vendor", phases: "examples,fuzzing", cases: 5 },
];

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let valid = || tool("openapi-spec-validator").and_then(|tool| run(Command::new(tool).arg(document())));
    let mut trials = vec![Trial::test("the-document-is-valid-openapi", move || valid().map_err(failed))];
    for drive in DRIVES {
        let name = format!("{}::{}", drive.host.name(), drive.tag);
        let trial = Trial::test(name, move || drive.run().map_err(failed));
        trials.push(trial.with_ignored_flag(!drive.host.is_there()));
    }
    Ok(libtest_mimic::run(&Arguments::from_args(), trials).exit_code())
}

impl Drive {
    fn run(self) -> Result<()> {
        let fixtures: Vec<_> = fixtures::all()?.into_iter().filter(is_sound).collect();
        let setup = Setup {
            app: App::Registrar,
            entries: fixtures.iter().flat_map(Fixture::entries).collect(),
            settings: vec![("admin_token".into(), TOKEN.into())],
            ..Setup::default()
        };
        let running = self.host.start(&setup)?;
        let mut there = issue(running.address())?;
        there.entry("license-key").or_default().extend(fixtures.into_iter().map(|fixture| fixture.key));
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api");
        let mut command = Command::new(tool("schemathesis")?);
        command.current_dir(running.directory.path()).env("COUNTERSIGN_THERE", json!(there).to_string());
        command.env("COUNTERSIGN_TOKEN", TOKEN).env("SCHEMATHESIS_HOOKS", tests.join("hooks.py"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg("--config-file").arg(tests.join("schemathesis.toml")).arg("run").arg(document());
        command.args(["--url", &format!("http://{}", running.address()), "--include-tag", self.tag]);
        command.args(["--phases", self.phases, "--max-examples", &self.cases.to_string()]);
        if !cfg!(target_os = "linux") {
            // Only on Linux do its wrong tokens come from other addresses: see `hooks.py`.
            command.args(["--exclude-checks", "ignored_auth"]);
        }
        run(&mut command).with_context(|| format!("the host wrote\n{}", running.process.log()))
    }
}

/// Creates a product, a policy of each kind and licences of each policy. Returns their codes, ids
/// and keys, by the document's names for their formats.
fn issue(host: SocketAddr) -> Result<BTreeMap<&'static str, Vec<String>>> {
    let mut there: BTreeMap<_, Vec<String>> = BTreeMap::new();
    let mut note = |format, made: &Value| -> Result<String> {
        let text = made.as_str().with_context(|| format!("no {format}"))?;
        there.entry(format).or_default().push(text.to_owned());
        Ok(text.to_owned())
    };
    note("product-code", &make(host, "products", &json!({ "code": "acme" }))?["code"])?;
    let seats = json!({ "per": "machine", "limit": 1000, "leaseSeconds": 60 });
    for basis in ["issue", "first-validation", "first-activation"] {
        let policy = json!({
            "product": "acme", "name": basis, "plan": "pro", "expiryBasis": basis, "durationSeconds": 3600, "activation": seats,
        });
        let policy = note("policy-id", &make(host, "policies", &policy)?["id"])?;
        let issued = make(host, "licenses/batch", &json!({ "policy": policy, "count": 20 }))?;
        for license in issued["items"].as_array().context("no licences")? {
            note("license-id", &license["id"])?;
            note("license-key", &license["key"])?;
        }
    }
    Ok(there)
}

fn make(host: SocketAddr, what: &str, body: &Value) -> Result<Value> {
    let authorization = format!("Bearer {TOKEN}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let answer = client::send(host, "POST", &format!("/api/v1/{what}"), &headers, body.to_string().as_bytes())?;
    ensure!(answer.status == 201, "{}", answer.text());
    answer.json()
}

/// Whether its record is readable. An unreadable one gives a 503, which would count as a failure.
fn is_sound(fixture: &Fixture) -> bool {
    fixture.record.as_ref().is_none_or(|record| License::from_json(record.as_bytes()).is_ok())
        && fixture.state.is_none()
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json")
}

/// A program that `cargo xtask test api` installs.
fn tool(name: &str) -> Result<PathBuf> {
    let programs = env::var_os("COUNTERSIGN_SCHEMATHESIS");
    Ok(PathBuf::from(programs.context("COUNTERSIGN_SCHEMATHESIS is not set: run `cargo xtask test api`")?).join(name))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    Ok(())
}

fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}
