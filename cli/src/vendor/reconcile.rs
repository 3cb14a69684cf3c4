use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use crate::limits::API_BULK_PAGE;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::output::print;
use crate::output::progress;

/// Repair records in the store that differ from their licences
///
/// Compares every licence with its record in the store, and writes those records again that differ.
/// A licence that is not as its events say is named and left unchanged; the exit code is then 1.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// Count what differs and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Import licences that exist only in the store, and create their products if missing
    #[arg(long)]
    adopt: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Reconcile {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let bar = progress::items("licences");
        let mut totals = Map::new();
        let (mut products, mut unaccounted) = (BTreeSet::new(), BTreeSet::new());
        let mut cursor = None;
        loop {
            let mut body = json!({ "limit": API_BULK_PAGE, "dryRun": self.dry_run, "adopt": self.adopt });
            if let Some(cursor) = cursor {
                body["cursor"] = cursor;
            }
            let answer = api.post(path(&["reconcile"]), &body)?.json()?;
            for (name, value) in answer.as_object().into_iter().flatten() {
                if let Some(count) = value.as_u64() {
                    let total = totals.get(name).and_then(Value::as_u64).unwrap_or(0);
                    totals.insert(name.clone(), (total + count).into());
                }
            }
            let names = |name: &str| {
                let names = answer[name].as_array().into_iter().flatten().filter_map(Value::as_str);
                names.map(str::to_owned).collect::<Vec<_>>()
            };
            products.extend(names("products"));
            unaccounted.extend(names("unaccounted"));
            bar.set_position(totals.get("checked").and_then(Value::as_u64).unwrap_or(0));
            cursor = answer.get("next").cloned();
            if cursor.is_none() {
                break;
            }
        }
        bar.finish_and_clear();
        if self.adopt {
            totals.insert("products".into(), json!(products));
        }
        if !unaccounted.is_empty() {
            totals.insert("unaccounted".into(), json!(unaccounted));
        }
        if self.connection.json {
            print::json(Value::Object(totals).to_string().as_bytes())?;
        } else {
            self.print(&totals)?;
            for id in &unaccounted {
                print::note(format_args!(
                    "{id} is not as its events say: left unchanged; see `countersign audit verify`"
                ));
            }
        }
        Ok(if unaccounted.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn print(&self, totals: &Map<String, Value>) -> Result<(), CommandError> {
        let [repaired, adopted, created] = if self.dry_run {
            ["would be repaired", "would be imported", "would create"]
        } else {
            ["repaired", "imported", "created"]
        };
        let mut out = print::out();
        let count = |name: &str| totals.get(name).and_then(Value::as_u64).unwrap_or(0);
        writeln!(out, "{} checked, {} {repaired}", count("checked"), count("repaired"))?;
        let unknown = if self.adopt { 0 } else { count("unknown") };
        for (count, one, many, outcome) in [
            (count("unrepairable"), "record", "records", "with the highest generation of all (left unchanged)"),
            (unknown, "licence only", "licences only", "in the store (left unchanged; --adopt imports)"),
            (count("adopted"), "licence only", "licences only", &*format!("in the store ({adopted})")),
            (count("retired"), "tombstone of a deleted licence", "tombstones of deleted licences", "(left unchanged)"),
            (count("unreadable"), "unreadable record", "unreadable records", "(left unchanged)"),
            (count("conflicting"), "record", "records", "with the id of another licence (left unchanged)"),
        ] {
            match count {
                0 => {}
                1 => writeln!(out, "1 {one} {outcome}")?,
                _ => writeln!(out, "{count} {many} {outcome}")?,
            }
        }
        for product in totals.get("products").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            writeln!(out, "{created} product {product}")?;
        }
        Ok(())
    }
}
