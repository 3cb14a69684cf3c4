//! The validator composed into another program (`examples/embedded`), run by `wasmtime run`.

use std::process::{Command, ExitCode, Output};

use anyhow::{Result, ensure};
use countersign::verdict::Code;
use countersign_host_tests::artifacts;
use countersign_host_tests::fixtures;
use countersign_host_tests::hosts::wasmtime_entry;
use libtest_mimic::{Arguments, Failed, Trial};

/// A run of the program: `embedded KEY [PRODUCT [DOMAIN]]`.
struct Case {
    name: &'static str,
    /// The fixture whose key is the first argument.
    license: &'static str,
    arguments: &'static [&'static str],
    /// The bucket that the setting `store` names, if not wasmtime's own.
    store: Option<&'static str>,
    exit_code: i32,
    /// The verdict, if there is one. The program prints its detail.
    verdict: Option<Code>,
}

const CASES: [Case; 6] = [
    Case {
        name: "a-licence-is-valid",
        license: "bound",
        arguments: &["acme", "app.example.com"],
        store: None,
        exit_code: 0,
        verdict: Some(Code::Valid),
    },
    Case {
        name: "another-domain-is-refused",
        license: "bound",
        arguments: &["acme", "notexample.com"],
        store: None,
        exit_code: 1,
        verdict: Some(Code::DomainMismatch),
    },
    Case {
        name: "an-unknown-key-is-refused",
        license: "never-issued",
        arguments: &[],
        store: None,
        exit_code: 1,
        verdict: Some(Code::NotFound),
    },
    Case {
        name: "a-corrupt-record-gives-no-verdict",
        license: "cut-short",
        arguments: &[],
        store: None,
        exit_code: 1,
        verdict: None,
    },
    Case {
        name: "an-unknown-store-gives-no-verdict",
        license: "bound",
        arguments: &["acme", "app.example.com"],
        store: Some("elsewhere"),
        exit_code: 1,
        verdict: None,
    },
    Case {
        name: "a-malformed-domain-gives-no-verdict",
        license: "bound",
        arguments: &["acme", "https://example.com/"],
        store: None,
        exit_code: 1,
        verdict: None,
    },
];

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let trials = CASES
        .map(|case| Trial::test(case.name, move || case.run().map_err(|error| Failed::from(format!("{error:#}")))));
    Ok(libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code())
}

impl Case {
    fn run(&self) -> Result<()> {
        let mut command = Command::new(artifacts::wasmtime()?);
        command.args(["run", "-Scli", "-Skeyvalue"]);
        let mut key = String::new();
        for fixture in fixtures::all()? {
            command.args(fixture.entries().map(|(key, value)| wasmtime_entry(&key, &value)));
            if fixture.name == self.license {
                key = fixture.key;
            }
        }
        if let Some(store) = self.store {
            command.arg("--env").arg(format!("COUNTERSIGN_STORE={store}"));
        }
        let Output { status, stdout, stderr } =
            command.arg(artifacts::component("tests/embedded.wasm")?).arg(&key).args(self.arguments).output()?;
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));

        ensure!(status.code() == Some(self.exit_code), "{status}\n{stdout}{stderr}");
        // The store's adapter writes the journal to standard output too.
        let printed: Vec<_> = stdout.lines().filter(|line| !line.starts_with('{')).collect();
        let expected: Vec<_> = self.verdict.iter().map(|code| code.detail()).collect();
        ensure!(printed == expected, "{stdout}{stderr}");
        ensure!(!stdout.contains(&key) && !stderr.contains(&key), "the program prints the key\n{stdout}{stderr}");
        Ok(())
    }
}
