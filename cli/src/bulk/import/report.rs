//! What became of the lines of an import.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::RangeInclusive;
use std::process::ExitCode;

use anyhow::Context;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::{Api, path};
use crate::error::CommandError;
use crate::output::print;

/// The sums so far, and where each thing goes that is to be told at once.
pub(super) struct Report {
    sums: Sums,
    /// Where keys go that were made.
    keys: Option<BufWriter<File>>,
    failure: Option<CommandError>,
    bar: ProgressBar,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sums {
    imported: u64,
    failed: u64,
    dry_run: bool,
    propagated: bool,
}

/// The API's answer to one request.
#[derive(Deserialize)]
struct Answer {
    imported: u64,
    failed: u64,
    results: Vec<Imported>,
    errors: Vec<Refused>,
    #[serde(default = "yes")]
    propagated: bool,
}

#[derive(Serialize, Deserialize)]
struct Imported {
    line: u64,
    id: Option<String>,
    key: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    line: u64,
    detail: String,
}

impl Report {
    pub(super) fn new(keys: Option<File>, dry_run: bool, bar: ProgressBar) -> Self {
        let sums = Sums { imported: 0, failed: 0, dry_run, propagated: true };
        Self { sums, keys: keys.map(BufWriter::new), failure: None, bar }
    }

    /// Takes one answer in. Keys are in their file when this returns: nobody else has them.
    pub(super) fn add(&mut self, answer: &[u8]) -> Result<(), CommandError> {
        let answer: Answer = serde_json::from_slice(answer).context("the answer is not that of an import")?;
        self.sums.imported += answer.imported;
        self.sums.failed += answer.failed;
        self.sums.propagated &= answer.propagated || answer.imported == 0 || self.sums.dry_run;
        if let Some(file) = &mut self.keys {
            for imported in answer.results.iter().filter(|imported| imported.key.is_some()) {
                serde_json::to_writer(&mut *file, imported).map_err(io::Error::from)?;
                file.write_all(b"\n")?;
            }
            file.flush()?;
            file.get_ref().sync_data()?;
        }
        for refused in &answer.errors {
            self.tell(refused.line, &refused.detail);
        }
        self.bar.set_message(format!("{} lines", self.sums.imported + self.sums.failed));
        Ok(())
    }

    /// A line that was not sent.
    pub(super) fn refuse(&mut self, line: u64, detail: &str) {
        self.sums.failed += 1;
        self.tell(line, detail);
    }

    /// Lines of which nobody knows whether they were imported.
    pub(super) fn leave_open(&self, lines: RangeInclusive<u64>) {
        let (first, last) = lines.into_inner();
        self.bar.suspend(|| print::note(format_args!("lines {first} to {last}: not confirmed")));
    }

    /// Ends the import; the first failure is the one that is told.
    pub(super) fn fail(&mut self, error: CommandError) {
        self.failure.get_or_insert(error);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Has the store be told of what was written and it does not know yet: what a request has no time for, it leaves.
    pub(super) fn deliver(&mut self, api: &Api) -> Result<(), CommandError> {
        while !self.sums.propagated && !self.has_failed() {
            let told = api.post(path(&["outbox", "deliveries"]), &json!({}))?.json()?;
            self.sums.propagated = told["left"] == 0;
            if told["delivered"] == 0 {
                return Ok(());
            }
            self.bar.set_message(format!("{} still to be delivered", told["left"]));
        }
        Ok(())
    }

    /// Prints the sums.
    pub(super) fn finish(self, as_json: bool) -> Result<ExitCode, CommandError> {
        let Sums { imported, failed, dry_run, propagated } = self.sums;
        if let Some(error) = self.failure {
            print::note(format_args!("{imported} lines were imported before that"));
            return Err(error);
        }
        if as_json {
            print::json(&serde_json::to_vec(&self.sums).map_err(io::Error::from)?)?;
        } else {
            let done = if dry_run { "can be imported" } else { "imported" };
            writeln!(print::out(), "{imported} lines {done}, {failed} wrong")?;
            if !propagated {
                print::note(format_args!("the store of licences could not be told of all of them: it is told later"));
            }
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn tell(&self, line: u64, detail: &str) {
        self.bar.suspend(|| print::note(format_args!("line {line}: {}", print::plain(detail))));
    }
}

fn yes() -> bool {
    true
}
