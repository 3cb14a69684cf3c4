//! The outcome of an import, line by line and in total.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chunks::{Chunk, Span};
use crate::api::{Api, path};
use crate::error::CommandError;
use crate::output::print;
use crate::output::text::plain;

/// The totals so far, and where keys and errors go as they arrive.
pub(super) struct Report {
    sums: Sums,
    /// The file for generated keys.
    keys: Option<File>,
    /// In a dry run, the keys and ids of the lines before: the server compares those of one request
    /// only.
    taken: Option<Taken>,
    bar: ProgressBar,
}

/// How many lines of the file there are of each kind. Their sum is that of all lines.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sums {
    lines: u64,
    imported: u64,
    failed: u64,
    blank: u64,
    header: u64,
    /// Lines that begin within a quoted cell of the line before.
    continued: u64,
    /// Of the imported licences, those whose key is easy to guess.
    #[serde(skip_serializing_if = "is_zero")]
    weak_keys: u64,
    dry_run: bool,
    propagated: bool,
}

#[derive(Default)]
struct Taken {
    keys: HashSet<String>,
    ids: HashSet<String>,
}

/// The API's answer to one request.
#[derive(Deserialize)]
pub(super) struct Answer {
    results: Vec<Imported>,
    errors: Vec<Refused>,
    #[serde(default, rename = "weakKeys")]
    weak_keys: u64,
    #[serde(default = "yes")]
    propagated: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    line: u64,
    id: Option<String>,
    key: Option<String>,
    #[serde(skip_serializing)]
    key_hash: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    line: u64,
    detail: String,
    code: String,
}

impl Report {
    pub(super) fn new(keys: Option<File>, dry_run: bool, bar: ProgressBar) -> Self {
        let (lines, imported, failed, blank, header, continued, weak_keys) = (0, 0, 0, 0, 0, 0, 0);
        let sums = Sums { lines, imported, failed, blank, header, continued, weak_keys, dry_run, propagated: true };
        let taken = dry_run.then(Taken::default);
        Self { sums, keys, taken, bar }
    }

    /// Adds the lines before the records, some of which are blank.
    pub(super) fn add_head(&mut self, (lines, blank): (u64, u64)) {
        self.sums.blank += blank;
        self.sums.header += lines - blank;
    }

    /// Adds a chunk, and the server's answer if it was sent. The answer's keys are in their file
    /// when this returns: they exist nowhere else.
    pub(super) fn add(&mut self, chunk: &Chunk, answer: Option<Answer>) -> Result<(), CommandError> {
        let mut refused: Vec<_> = chunk.refused.iter().map(|(span, error)| (*span, error.to_string())).collect();
        let mut open: BTreeMap<u64, Span> = chunk.records.iter().map(|record| (record.number, record.span)).collect();
        // Each record has exactly one result.
        let mut close =
            |line| open.remove(&line).ok_or_else(|| anyhow!("the server's answer is about a line that was not sent"));
        let Answer { results, errors, weak_keys, propagated } = answer.unwrap_or_default();
        self.sums.weak_keys += weak_keys;
        let mut keys = Vec::new();
        for imported in results {
            let span = close(imported.line)?;
            match self.taken.as_mut().and_then(|taken| taken.add(&imported)) {
                Some(detail) => refused.push((span, detail.to_owned())),
                None => {
                    self.sums.imported += 1;
                    self.sums.propagated &= propagated || self.sums.dry_run;
                    if imported.key.is_some() {
                        let imported = Imported { line: span.first, ..imported };
                        keys.extend(serde_json::to_vec(&imported).map_err(io::Error::from)?);
                        keys.push(b'\n');
                    }
                }
            }
        }
        if let Some(file) = &mut self.keys {
            file.write_all(&keys).and_then(|()| file.sync_data()).context(
                "licences were imported, but not all of their keys could be written; `rotate-key` gives them others",
            )?;
        }
        for Refused { line, detail, code } in errors {
            let detail = if code == "KEY_REQUIRED" { NO_KEY.to_owned() } else { detail };
            refused.push((close(line)?, detail));
        }
        if let Some(span) = open.values().next() {
            return Err(anyhow!("the server's answer has no result for line {}", span.first).into());
        }
        refused.sort_by_key(|(span, _)| span.first);
        for (span, detail) in &refused {
            self.bar.suspend(|| print::note(format_args!("{span}: {}", plain(detail))));
        }
        self.sums.failed += refused.len() as u64;
        self.sums.blank += chunk.blank;
        let spans = chunk.records.iter().map(|record| &record.span).chain(chunk.refused.iter().map(|(span, _)| span));
        self.sums.continued += spans.map(|span| span.last - span.first).sum::<u64>();
        match self.bar.length() {
            Some(_) => self.bar.set_message(format!("{} lines", self.sums.total())),
            None => self.bar.set_position(self.sums.total()),
        }
        Ok(())
    }

    /// Says how far an import came that an error ends.
    pub(super) fn stop(&self, chunk: &Chunk, error: &CommandError) {
        let Sums { imported, dry_run, .. } = self.sums;
        self.bar.finish_and_clear();
        if dry_run || (imported == 0 && !is_open(error)) {
            return;
        }
        print::note(format_args!("{imported} lines were imported before this error"));
        if let (Some(first), Some(last), true) = (chunk.records.first(), chunk.records.last(), is_open(error)) {
            let (first, last) = (first.span.first, last.span.last);
            print::note(format_args!(
                "lines {first} to {last}: may or may not have been imported; import the file again to find out"
            ));
        }
    }

    /// Brings the store up to date with licences that the requests had no time to deliver.
    pub(super) fn deliver(&mut self, api: &Api) -> Result<(), CommandError> {
        while !self.sums.propagated {
            let delivery = api.post(path(&["outbox", "deliveries"]), &json!({}))?.json()?;
            self.sums.propagated = delivery["left"] == 0;
            if delivery["delivered"] == 0 {
                return Ok(());
            }
            self.bar.set_message(format!("{} still to deliver", delivery["left"]));
        }
        Ok(())
    }

    /// Prints the totals, and compares their sum with the number of the file's lines.
    pub(super) fn finish(mut self, lines: u64, as_json: bool) -> Result<ExitCode, CommandError> {
        self.sums.lines = lines;
        let Sums { imported, failed, blank, header, continued, weak_keys, dry_run, propagated, .. } = self.sums;
        if as_json {
            print::json(&serde_json::to_vec(&self.sums).map_err(io::Error::from)?)?;
        } else {
            let done = if dry_run { "can be imported" } else { "imported" };
            let mut sums = format!("{lines} lines: {imported} {done}, {failed} failed");
            for (count, what) in [(blank, "blank"), (header, "header"), (continued, "continued")] {
                if count > 0 {
                    sums += &format!(", {count} {what}");
                }
            }
            writeln!(print::out(), "{sums}")?;
            if weak_keys > 0 {
                print::note(format_args!(
                    "{weak_keys} of the keys are easy to guess; `rotate-key` gives a licence another one"
                ));
            }
            if !propagated {
                print::note_delay();
            }
        }
        if self.sums.total() != lines {
            let total = self.sums.total();
            return Err(anyhow!("the file has {lines} lines, and only {total} of them are accounted for").into());
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

const NO_KEY: &str = "there is no key; give `--keys FILE` to generate one and save it there";

/// Whether a request may have been carried out that ended with this error.
fn is_open(error: &CommandError) -> bool {
    matches!(error, CommandError::Api(error) if error.may_pass())
}

impl Answer {
    pub(super) fn read(answer: &[u8]) -> Result<Self, CommandError> {
        Ok(serde_json::from_slice(answer).context("the server's answer does not report an import")?)
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self { results: Vec::new(), errors: Vec::new(), weak_keys: 0, propagated: true }
    }
}

impl Sums {
    fn total(&self) -> u64 {
        self.imported + self.failed + self.blank + self.header + self.continued
    }
}

impl Taken {
    /// Adds the key and the id of a line, or says which of them another line has. The sentences are
    /// those of a real import.
    fn add(&mut self, imported: &Imported) -> Option<&'static str> {
        if imported.key_hash.as_ref().is_some_and(|hash| self.keys.contains(hash)) {
            return Some("Another licence has or had this key; keys are never reused.");
        }
        if imported.id.as_ref().is_some_and(|id| self.ids.contains(id)) {
            return Some("Another licence has or had this id; ids are never reused.");
        }
        self.keys.extend(imported.key_hash.clone());
        self.ids.extend(imported.id.clone());
        None
    }
}

fn yes() -> bool {
    true
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
