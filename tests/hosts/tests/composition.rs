//! Each composition contains its app's bytes unchanged, whatever host it is for. The native host
//! runs those bytes as the compiler wrote them.

use std::fs;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use countersign_host_tests::artifacts;
use libtest_mimic::{Arguments, Failed, Trial};

const VALIDATOR: &str = "countersign-native";
const REGISTRAR: &str = "countersign-registrar-native";

const COMPOSITIONS: [(&str, &str); 8] = [
    ("countersign-wasi", VALIDATOR),
    ("countersign-fastly", VALIDATOR),
    ("countersign-spin", VALIDATOR),
    ("countersign-edge-spin", VALIDATOR),
    ("countersign-spin-sqlite", VALIDATOR),
    ("countersign-spin3", VALIDATOR),
    ("tests/embedded", VALIDATOR),
    ("countersign-registrar-spin", REGISTRAR),
];

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let trials = COMPOSITIONS.map(|(name, app)| {
        let run = move || holds(name, app).map_err(|error| Failed::from(format!("{error:#}")));
        Trial::test(format!("{name}::contains-its-app-unchanged"), run)
    });
    Ok(libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code())
}

fn holds(composition: &str, app: &str) -> Result<()> {
    let app = fs::read(artifacts::component(&format!("{app}.wasm"))?)?;
    let composed = fs::read(artifacts::component(&format!("{composition}.wasm"))?)?;
    ensure!(
        !app.is_empty() && composed.windows(app.len()).any(|part| part == app),
        "the composition does not contain the bytes of its app"
    );
    Ok(())
}
