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

/// Compare every licence with what its store has, and write it there anew where they differ
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// Only count what differs
    #[arg(long)]
    dry_run: bool,
    /// Take in licences that the store has and nobody here knows, as they stand there, and make products that they are of
    #[arg(long)]
    adopt: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Reconcile {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let bar = progress::items("licences");
        let mut sums = Map::new();
        let mut products = BTreeSet::new();
        let mut cursor = None;
        loop {
            let mut body = json!({ "limit": API_BULK_PAGE, "dryRun": self.dry_run, "adopt": self.adopt });
            if let Some(cursor) = cursor {
                body["cursor"] = cursor;
            }
            let answer = api.post(path(&["reconcile"]), &body)?.json()?;
            for (name, value) in answer.as_object().into_iter().flatten() {
                if let Some(count) = value.as_u64() {
                    let sum = sums.get(name).and_then(Value::as_u64).unwrap_or(0);
                    sums.insert(name.clone(), (sum + count).into());
                }
            }
            products.extend(
                answer["products"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned),
            );
            bar.set_position(sums.get("checked").and_then(Value::as_u64).unwrap_or(0));
            cursor = answer.get("next").cloned();
            if cursor.is_none() {
                break;
            }
        }
        bar.finish_and_clear();
        if self.adopt {
            sums.insert("products".into(), json!(products));
        }
        if self.connection.json {
            print::json(Value::Object(sums).to_string().as_bytes())?;
        } else {
            self.print(&sums)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, sums: &Map<String, Value>) -> Result<(), CommandError> {
        let [repaired, adopted, made] =
            if self.dry_run { ["to repair", "to adopt", "to make"] } else { ["repaired", "adopted", "made"] };
        let mut out = print::out();
        let count = |name: &str| sums.get(name).and_then(Value::as_u64).unwrap_or(0);
        writeln!(out, "{} checked, {} {repaired}", count("checked"), count("repaired"))?;
        let unknown = if self.adopt { 0 } else { count("unknown") };
        for (count, are) in [
            (unknown, "in the store that nobody here knows: left as they are"),
            (count("adopted"), &*format!("in the store that nobody here knew: {adopted}")),
            (count("retired"), "that say of a licence no more than that it is over: left as they are"),
            (count("unreadable"), "that are no licence: left as they are"),
            (count("conflicting"), "with the id of another licence: left as they are"),
        ] {
            if count > 0 {
                writeln!(out, "{count} {are}")?;
            }
        }
        for product in sums.get("products").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            writeln!(out, "{made}: the product {product}")?;
        }
        Ok(())
    }
}
