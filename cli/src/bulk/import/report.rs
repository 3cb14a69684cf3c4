//! The outcome of an import, line by line and in total.

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
use crate::output::text::plain;

/// The totals so far, and where keys and errors go as they arrive.
pub(super) struct Report {
    sums: Sums,
    /// The file for generated keys.
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

    /// Adds an answer. Its keys are in their file when this returns: they exist nowhere else.
    pub(super) fn add(&mut self, answer: &[u8]) -> Result<(), CommandError> {
        let answer: Answer = serde_json::from_slice(answer).context("the server's answer does not report an import")?;
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
            self.note(refused.line, &refused.detail);
        }
        self.bar.set_message(format!("{} lines", self.sums.imported + self.sums.failed));
        Ok(())
    }

    /// Reports a line that was not sent.
    pub(super) fn refuse(&mut self, line: u64, detail: &str) {
        self.sums.failed += 1;
        self.note(line, detail);
    }

    /// Reports lines that may or may not have been imported.
    pub(super) fn leave_open(&self, lines: RangeInclusive<u64>) {
        let (first, last) = lines.into_inner();
        self.bar.suspend(|| print::note(format_args!("lines {first} to {last}: may or may not have been imported")));
    }

    /// Ends the import. Only the first failure is reported.
    pub(super) fn fail(&mut self, error: CommandError) {
        self.failure.get_or_insert(error);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Brings the store up to date with licences that the requests had no time to deliver.
    pub(super) fn deliver(&mut self, api: &Api) -> Result<(), CommandError> {
        while !self.sums.propagated && !self.has_failed() {
            let delivery = api.post(path(&["outbox", "deliveries"]), &json!({}))?.json()?;
            self.sums.propagated = delivery["left"] == 0;
            if delivery["delivered"] == 0 {
                return Ok(());
            }
            self.bar.set_message(format!("{} still to deliver", delivery["left"]));
        }
        Ok(())
    }

    /// Prints the totals.
    pub(super) fn finish(self, as_json: bool) -> Result<ExitCode, CommandError> {
        let Sums { imported, failed, dry_run, propagated } = self.sums;
        if let Some(error) = self.failure {
            print::note(format_args!("{imported} lines were imported before this error"));
            return Err(error);
        }
        if as_json {
            print::json(&serde_json::to_vec(&self.sums).map_err(io::Error::from)?)?;
        } else {
            let done = if dry_run { "can be imported" } else { "imported" };
            writeln!(print::out(), "{imported} lines {done}, {failed} failed")?;
            if !propagated {
                print::note_delay();
            }
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn note(&self, line: u64, detail: &str) {
        self.bar.suspend(|| print::note(format_args!("line {line}: {}", plain(detail))));
    }
}

fn yes() -> bool {
    true
}
