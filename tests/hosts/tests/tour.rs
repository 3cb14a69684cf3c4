//! The README's tour with the real programs.
//!
//! Issues by command line, validates over HTTP, suspends, resumes and revokes while serving, takes
//! and releases seats, uses up an allowance, and exports the licences to every other host.

use std::io::Write;
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, anyhow, ensure};
use countersign_host_tests::artifacts;
use countersign_host_tests::client::{self, Answer};
use countersign_host_tests::hosts::{Host, Running, Setup};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

/// The hosts that `countersign export` writes for, each with its format's name.
const EXPORTS: [(Host, &str); 5] = [
    (Host::Viceroy, "fastly"),
    (Host::Spin, "spin"),
    (Host::Spin3, "spin"),
    (Host::SpinSqlite, "spin-sqlite"),
    (Host::Wasmtime, "wasmtime"),
];

/// The hosts whose store is persistent and atomic.
const ATOMIC: [Host; 2] = [Host::Native, Host::SpinSqlite];

/// The longest wait for a lease of two seconds to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two requests meanwhile.
const POLL: Duration = Duration::from_millis(50);

/// A part of the tour, on one of these hosts.
type Walk = fn(&Vendor, Host) -> Result<()>;

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let vendor = Arc::new(Vendor { native: OnceLock::new() });
    let trial = |name: String, run: fn(&Vendor) -> Result<()>| {
        let vendor = Arc::clone(&vendor);
        Trial::test(name, move || run(&vendor).map_err(failed))
    };
    let mut trials = vec![
        trial("native::a-licence-is-bound-to-its-domain".into(), a_licence_is_bound_to_its_domain),
        trial("native::a-suspended-licence-is-resumed".into(), a_suspended_licence_is_resumed),
        trial("native::a-revoked-licence-stays-revoked".into(), a_revoked_licence_stays_revoked),
        trial("native::a-key-is-read-from-standard-input".into(), a_key_is_read_from_standard_input),
        trial("native::the-command-line-gives-the-same-answer".into(), the_command_line_gives_the_same_answer),
        trial("native::sigterm-ends-it-cleanly".into(), |_| sigterm_ends_it_cleanly()),
    ];
    for host in ATOMIC {
        let walks: [(&str, Walk); 3] = [
            ("seats-are-taken-and-released", seats_are_taken_and_released),
            ("a-lease-lapses-and-is-revived", a_lease_lapses_and_is_revived),
            ("credits-are-used-up", credits_are_used_up),
        ];
        for (name, walk) in walks {
            let vendor = Arc::clone(&vendor);
            let run = move || walk(&vendor, host).map_err(failed);
            trials.push(Trial::test(format!("{}::{name}", host.name()), run).with_ignored_flag(!host.is_there()));
        }
    }
    for (host, format) in EXPORTS {
        let vendor = Arc::clone(&vendor);
        let run = move || exported_licences_validate(&vendor, host, format).map_err(failed);
        trials.push(
            Trial::test(format!("{}::exported-licences-validate", host.name()), run)
                .with_ignored_flag(!host.is_there()),
        );
    }
    for (host, format) in EXPORTS.into_iter().filter(|(host, _)| [Host::Viceroy, Host::Spin].contains(host)) {
        let vendor = Arc::clone(&vendor);
        let run = move || repository_manifest_serves(&vendor, host, format).map_err(failed);
        trials.push(
            Trial::test(format!("{}::the-manifest-of-the-repository-serves", host.name()), run)
                .with_ignored_flag(!host.is_there()),
        );
    }
    drop(vendor);
    Ok(libtest_mimic::run(&Arguments::from_args(), trials).exit_code())
}

/// A running native host, and the command line on its data directory.
struct Vendor {
    native: OnceLock<Result<Running>>,
}

/// From the output of `countersign issue --json`.
struct Issued {
    key: String,
    id: String,
}

impl Vendor {
    fn native(&self) -> Result<&Running> {
        let settings = vec![("server_timing".into(), "true".into())];
        let native = self.native.get_or_init(|| Host::Native.start(&Setup { settings, ..Setup::default() }));
        native.as_ref().map_err(|error| anyhow!("{error:#}"))
    }

    /// Runs `countersign` on the running host's data directory.
    fn run(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let (command, rest) = arguments.split_first().context("no command")?;
        let mut child = Command::new(artifacts::countersign()?)
            .arg(command)
            .arg("--data")
            .arg(self.native()?.directory.path().join("data"))
            .args(rest)
            .env("COUNTERSIGN_REGISTRAR", artifacts::component("countersign-registrar-native.wasm")?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
        Ok(child.wait_with_output()?)
    }

    /// The output of a command that must succeed.
    fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments, "")?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn issue(&self) -> Result<Issued> {
        self.issue_with("--domain example.com --feature export --expires 9000-01-01T00:00:00Z")
    }

    fn issue_with(&self, options: &str) -> Result<Issued> {
        let issue = format!("issue --product acme --plan pro --json {options}");
        let printed: Value = serde_json::from_str(&self.output(&issue.split(' ').collect::<Vec<_>>())?)?;
        let text =
            |name: &str| printed[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {printed}"));
        Ok(Issued { key: text("key")?, id: text("id")? })
    }
}

fn a_licence_is_bound_to_its_domain(vendor: &Vendor) -> Result<()> {
    let issued = vendor.issue()?;
    let native = vendor.native()?;
    for (domain, code) in
        [("example.com", "VALID"), ("app.example.com", "VALID"), ("notexample.com", "DOMAIN_MISMATCH")]
    {
        let answer = validate(native, &issued.key, domain)?;
        let body = answer.json()?;
        ensure!(body["code"] == code && body["valid"] == (code == "VALID"), "{domain}: {body}");
        ensure!(body["plan"] == "pro" && body["features"] == json!(["export"]), "{body}");
        ensure!(body["licenseId"] == issued.id && body["expiresAt"] == "9000-01-01T00:00:00Z", "{body}");
        timed(&answer)?;
    }
    Ok(())
}

fn a_suspended_licence_is_resumed(vendor: &Vendor) -> Result<()> {
    let issued = vendor.issue()?;
    vendor.output(&["suspend", &issued.id])?;
    is(vendor.native()?, &issued.key, "SUSPENDED")?;
    vendor.output(&["resume", &issued.key])?;
    is(vendor.native()?, &issued.key, "VALID")
}

fn a_revoked_licence_stays_revoked(vendor: &Vendor) -> Result<()> {
    let issued = vendor.issue()?;
    is(vendor.native()?, &issued.key, "VALID")?;
    vendor.output(&["revoke", &issued.id])?;
    is(vendor.native()?, &issued.key, "REVOKED")?;
    let resumed = vendor.run(&["resume", &issued.id], "")?;
    ensure!(resumed.status.code() == Some(5), "{resumed:?}");
    is(vendor.native()?, &issued.key, "REVOKED")
}

fn a_key_is_read_from_standard_input(vendor: &Vendor) -> Result<()> {
    let issued = vendor.issue()?;
    let shown = vendor.run(&["show", "--json", "-"], &format!("{}\n", issued.key.to_lowercase()))?;
    let shown: Value = serde_json::from_slice(&shown.stdout).with_context(|| format!("{shown:?}"))?;
    ensure!(shown["id"] == issued.id, "{shown}");
    ensure!(!shown.to_string().contains(&issued.key), "`show` must not print the key");
    Ok(())
}

/// The same JSON, and exit code 0 for valid or 1 for invalid.
fn the_command_line_gives_the_same_answer(vendor: &Vendor) -> Result<()> {
    let issued = vendor.issue()?;
    for (domain, exit_code) in [("app.example.com", 0), ("example.com.evil.net", 1)] {
        let output = vendor.run(&["validate", "--json", "--domain", domain, "-"], &issued.key)?;
        ensure!(output.status.code() == Some(exit_code), "{output:?}");
        let printed: Value = serde_json::from_slice(&output.stdout)?;
        let answered = validate(vendor.native()?, &issued.key, domain)?.json()?;
        ensure!(printed == answered, "the command line has\n{printed}\nand the server\n{answered}");
    }
    let unknown = vendor.run(&["validate", "-"], "no key of ours")?;
    ensure!(unknown.status.code() == Some(1), "{unknown:?}");
    Ok(())
}

fn sigterm_ends_it_cleanly() -> Result<()> {
    let native = Host::Native.start(&Setup::default())?;
    let status = native.process.stop()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

fn exported_licences_validate(vendor: &Vendor, host: Host, format: &str) -> Result<()> {
    let (issued, revoked) = (vendor.issue()?, vendor.issue()?);
    vendor.output(&["revoke", &revoked.id])?;
    let exported = vendor.output(&["export", "--format", format])?;
    ensure!(!exported.contains(&issued.key), "the export contains a key");
    let settings = vec![("server_timing".into(), "true".into())];
    let running = host.start(&Setup { exported, settings, ..Setup::default() })?;
    for (key, domain, code) in [
        (&issued.key, "app.example.com", "VALID"),
        (&issued.key, "notexample.com", "DOMAIN_MISMATCH"),
        (&revoked.key, "example.com", "REVOKED"),
    ] {
        let there = validate(&running, key, domain)?;
        let here = validate(vendor.native()?, key, domain)?;
        ensure!(there.json()?["code"] == code, "{domain}: {}\n{}", there.text(), running.process.log());
        ensure!(there.body == here.body, "this host answers {}, and the native one {}", there.text(), here.text());
        timed(&there)?;
    }
    Ok(())
}

fn seats_are_taken_and_released(vendor: &Vendor, host: Host) -> Result<()> {
    let issued = vendor.issue_with("--seats 2 --lease 1h --manage all")?;
    let there = There::with_licenses(vendor, host)?;
    let ask = |verb: &str, machine: &str| there.ask(verb, json!({ "key": issued.key, "fingerprint": machine }), None);
    let first = ask("activate", "the first machine")?;
    ensure!(first["valid"] == true && first["seats"] == json!({ "limit": 2, "used": 1 }), "{first}");
    ensure!(
        ask("activate", "the first machine")?["activation"]["id"] == first["activation"]["id"],
        "the same machine has another seat"
    );
    coded(&ask("activate", "the second machine")?, "VALID")?;
    coded(&ask("activate", "the third machine")?, "TOO_MANY_ACTIVATIONS")?;
    ensure!(ask("deactivate", "the first machine")?["deactivated"] == true, "the seat was not released");
    coded(&ask("validate", "the first machine")?, "NOT_ACTIVATED")?;
    coded(&ask("activate", "the third machine")?, "VALID")?;

    let listed = there.ask("activations", json!({ "key": issued.key }), None)?;
    let seats = json!({ "limit": 2, "used": 2 });
    ensure!(listed["seats"] == seats && listed["activations"].as_array().is_some_and(|all| all.len() == 2), "{listed}");
    if host == Host::Native {
        let printed: Value = serde_json::from_str(&vendor.output(&["activations", "--json", &issued.id])?)?;
        // The vendor sees more of a seat than its holder does.
        let ids = |seating: &Value| -> Vec<Value> {
            seating["activations"].as_array().into_iter().flatten().map(|seat| seat["id"].clone()).collect()
        };
        ensure!(ids(&printed) == ids(&listed) && printed["seats"] == seats, "{printed}");
        no_machine_is_named(vendor)?;
    }
    Ok(())
}

/// A lease ends with time alone.
fn a_lease_lapses_and_is_revived(vendor: &Vendor, host: Host) -> Result<()> {
    let issued = vendor.issue_with("--seats 1 --lease 2s --revive 1h")?;
    let there = There::with_licenses(vendor, host)?;
    let ask = |verb: &str, machine: &str| there.ask(verb, json!({ "key": issued.key, "fingerprint": machine }), None);
    coded(&ask("activate", "the first machine")?, "VALID")?;
    await_code("LEASE_EXPIRED", || ask("validate", "the first machine"))?;
    coded(&ask("heartbeat", "the first machine")?, "VALID")?;
    await_code("VALID", || ask("activate", "the second machine"))?;
    coded(&ask("heartbeat", "the first machine")?, "NOT_ACTIVATED")
}

fn credits_are_used_up(vendor: &Vendor, host: Host) -> Result<()> {
    let issued = vendor.issue_with("--allowance credits=10")?;
    let there = There::with_licenses(vendor, host)?;
    let consume = |amount: u64, key| {
        there.ask("usage", json!({ "key": issued.key, "allowance": "credits", "consume": amount }), key)
    };
    for _ in 0..2 {
        let used = consume(6, Some("first"))?;
        ensure!(used["applied"] == true && used["allowance"]["remaining"] == 4, "{used}");
    }
    let refused = consume(5, None)?;
    coded(&refused, "USAGE_EXHAUSTED")?;
    ensure!(refused["applied"] == false && refused["allowance"]["remaining"] == 4, "{refused}");
    coded(&consume(4, None)?, "VALID")?;
    coded(&consume(1, None)?, "USAGE_EXHAUSTED")?;
    let read = there.ask("usage", json!({ "key": issued.key, "allowance": "credits" }), None)?;
    ensure!(read["allowance"]["used"] == 10 && read["allowance"]["resetsAt"].is_null(), "{read}");
    coded(&there.ask("validate", json!({ "key": issued.key, "allowance": "credits" }), None)?, "USAGE_EXHAUSTED")?;
    if host == Host::Native {
        let shown = vendor.output(&["show", &issued.id])?;
        ensure!(shown.contains("10 of 10 used"), "{shown}");
    }
    Ok(())
}

/// A host with the licences that the command line issued.
enum There<'a> {
    Native(&'a Running),
    Elsewhere(Running),
}

impl<'a> There<'a> {
    /// The native host shares the data directory; another gets the output of `countersign export`.
    fn with_licenses(vendor: &'a Vendor, host: Host) -> Result<Self> {
        if host == Host::Native {
            return Ok(Self::Native(vendor.native()?));
        }
        let exported = vendor.output(&["export", "--format", "spin-sqlite"])?;
        Ok(Self::Elsewhere(host.start(&Setup { exported, ..Setup::default() })?))
    }

    fn ask(&self, verb: &str, body: Value, idempotency_key: Option<&str>) -> Result<Value> {
        let address = match self {
            Self::Native(running) => running.address(),
            Self::Elsewhere(running) => running.address(),
        };
        let headers: Vec<_> = idempotency_key.map(|key| ("Idempotency-Key", key)).into_iter().collect();
        client::send(address, "POST", &format!("/api/v1/{verb}"), &headers, body.to_string().as_bytes())?.json()
    }
}

/// Retries until the verdict has this code, or time is up.
fn await_code(code: &str, ask: impl Fn() -> Result<Value>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask()?;
        if answer["code"] == code || Instant::now() > deadline {
            return coded(&answer, code);
        }
        thread::sleep(POLL);
    }
}

fn coded(answer: &Value, code: &str) -> Result<()> {
    ensure!(answer["code"] == code && answer["valid"] == (code == "VALID"), "the code must be {code}: {answer}");
    Ok(())
}

/// No file contains the name of a machine of these trials.
fn no_machine_is_named(vendor: &Vendor) -> Result<()> {
    for file in fs::read_dir(vendor.native()?.directory.path().join("data"))? {
        let path = file?.path();
        if path.is_file() {
            let held = fs::read(&path)?.windows(9).any(|part| part == b"d machine");
            ensure!(!held, "{} contains the name of a machine", path.display());
        }
    }
    Ok(())
}

/// `spin.toml` and `deploy/fastly/fastly.toml` work as they are.
fn repository_manifest_serves(vendor: &Vendor, host: Host, format: &str) -> Result<()> {
    let issued = vendor.issue()?;
    let exported = vendor.output(&["export", "--format", format])?;
    let running = host.start(&Setup { exported, repository_manifest: true, ..Setup::default() })?;
    is(&running, &issued.key, "VALID")
}

/// Checks the `Server-Timing` header, which the setting `server_timing` turns on.
fn timed(answer: &Answer) -> Result<()> {
    let timing = answer.headers.get("server-timing").context("no server-timing")?;
    let parts: Vec<_> = timing.split(", ").filter_map(|part| part.split_once(";dur=")).collect();
    let [("store", store), ("total", total)] = parts[..] else { return Err(anyhow!("server-timing: {timing}")) };
    let (store, total): (f64, f64) = (store.parse()?, total.parse()?);
    ensure!(0.0 < store && store <= total && total < 10_000.0, "server-timing: {timing}");
    ensure!(answer.headers.get("timing-allow-origin").is_some_and(|origin| origin == "*"), "{:?}", answer.headers);
    Ok(())
}

fn is(host: &Running, key: &str, code: &str) -> Result<()> {
    let body = validate(host, key, "example.com")?.json()?;
    ensure!(body["code"] == code && body["valid"] == (code == "VALID"), "{body}");
    Ok(())
}

fn validate(host: &Running, key: &str, domain: &str) -> Result<Answer> {
    let body = json!({ "key": key, "domain": domain }).to_string();
    client::send(host.address(), "POST", "/api/v1/validate", &[], body.as_bytes())
}

fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}
