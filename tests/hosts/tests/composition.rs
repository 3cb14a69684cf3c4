//! The validator is one file: its bytes stand unchanged in each composition, whatever host that is for. Our own host is given
//! that file as the compiler wrote it.

use std::fs;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use countersign_host_tests::artifacts;
use libtest_mimic::{Arguments, Failed, Trial};

const VALIDATOR: &str = "countersign-native.wasm";

const COMPOSITIONS: [&str; 6] = [
    "countersign-wasi",
    "countersign-fastly",
    "countersign-spin",
    "countersign-spin-sqlite",
    "countersign-spin3",
    "tests/embedded",
];

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let trials = COMPOSITIONS.map(|name| {
        let run = move || holds_the_validator(name).map_err(|error| Failed::from(format!("{error:#}")));
        Trial::test(format!("{name}::holds-the-validator-unchanged"), run)
    });
    Ok(libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code())
}

fn holds_the_validator(composition: &str) -> Result<()> {
    let validator = fs::read(artifacts::component(VALIDATOR)?)?;
    let composed = fs::read(artifacts::component(&format!("{composition}.wasm"))?)?;
    ensure!(!validator.is_empty() && composed.windows(validator.len()).any(|part| part == validator), "it does not");
    Ok(())
}
