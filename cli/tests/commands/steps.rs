//! Every command of a vendor, on a data directory and to a server: the steps of `steps.toml`, whose outputs stand there.
//!
//! `BLESS=1 cargo test` writes what a data directory answers in place of what stands there.

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

/// One command and what becomes of it.
#[derive(Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Words; those with spaces in them stand in single quotes.
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

#[test]
fn on_a_data_directory() {
    let place = Place::data();
    // As a server makes it at its first start.
    assert_eq!(place.run(&["token", "create", "first", "--role", "admin"]).code, 0);
    let told = follow(&place);
    if env::var_os("BLESS").is_some() {
        fs::write(file(), toml(&told)).unwrap();
    }
    compare(&told);
}

#[test]
fn by_a_server() {
    compare(&follow(&Place::server()));
}

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands/steps.toml")
}

fn read() -> Vec<Step> {
    toml::from_str::<Steps>(&fs::read_to_string(file()).unwrap()).unwrap().step
}

/// The steps with what becomes of them here.
fn follow(place: &Place) -> Vec<Step> {
    let mut names = Names::default();
    let follow = |step: Step| {
        let command = names.take(&step.run);
        let printed = run(&mut place.command(&words(&command)), &names.take(&step.input));
        // Who asks is the only difference.
        let out = printed.out.replace("operator", "host");
        Step { code: printed.code, out: names.give(&out), err: names.give(&printed.err), ..step }
    };
    read().into_iter().map(follow).collect()
}

fn compare(told: &[Step]) {
    for (told, expected) in told.iter().zip(read()) {
        assert_eq!(*told, expected);
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
