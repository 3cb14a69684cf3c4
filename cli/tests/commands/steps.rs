//! Every command of a vendor, on a data directory and on a server: the steps of `steps.toml`, with
//! their output.
//!
//! `BLESS=1 cargo test` replaces the output in `steps.toml` with that of a server.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::support::place::{Names, Place, run};
use serde::Deserialize;

#[derive(Deserialize)]
struct Steps {
    step: Vec<Step>,
}

/// One command and its outcome.
#[derive(Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The arguments; single quotes enclose one with spaces.
    run: String,
    #[serde(default)]
    input: String,
    #[serde(default)]
    code: i32,
    #[serde(default)]
    out: String,
    #[serde(default)]
    err: String,
}

/// The actor of these steps in `steps.toml`: `host` on a data directory, `operator` with the admin
/// token of a server. Other actors are written as they are.
const CALLER: &str = "<caller>";

#[test]
fn a_data_directory_answers_each_step_as_written() {
    let place = Place::data();
    // A server creates it at its first start.
    assert_eq!(place.run(&["token", "create", "first", "--role", "admin"]).code, 0);
    compare(&follow(&place), "host");
}

#[test]
fn a_server_answers_each_step_as_written() {
    let answers = follow(&Place::server());
    if env::var_os("BLESS").is_some() {
        fs::write(file(), toml(&answers).replace("operator", CALLER)).unwrap();
    }
    compare(&answers, "operator");
}

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands/steps.toml")
}

fn read() -> Vec<Step> {
    toml::from_str::<Steps>(&fs::read_to_string(file()).unwrap()).unwrap().step
}

/// The steps with the answers of this place.
fn follow(place: &Place) -> Vec<Step> {
    let mut names = Names::default();
    let follow = |step: Step| {
        let command = names.take(&step.run);
        let printed = run(&mut place.command(&words(&command)), &names.take(&step.input));
        Step { code: printed.code, out: names.give(&printed.out), err: names.give(&printed.err), ..step }
    };
    read().into_iter().map(follow).collect()
}

fn compare(answers: &[Step], caller: &str) {
    for (answer, expected) in answers.iter().zip(read()) {
        assert_eq!(*answer, Step { out: expected.out.replace(CALLER, caller), ..expected });
    }
}

fn words(command: &str) -> Vec<&str> {
    let parts = command.split('\'').enumerate();
    parts.flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }).collect()
}

fn toml(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        writeln!(text, "[[step]]\nrun = \"{}\"", step.run).unwrap();
        if !step.input.is_empty() {
            writeln!(text, "input = '''\n{}'''", step.input).unwrap();
        }
        if step.code != 0 {
            writeln!(text, "code = {}", step.code).unwrap();
        }
        for (name, printed) in [("out", &step.out), ("err", &step.err)] {
            if !printed.is_empty() {
                writeln!(text, "{name} = '''\n{printed}'''").unwrap();
            }
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}
