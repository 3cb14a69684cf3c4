use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use countersign_host::limits::API_BULK_PAGE;
use serde_json::{Map, Value, json};

use super::api::path;
use super::connection::Connection;
use super::progress;
use super::{CommandError, print};

/// Compare every licence with what its store has, and write it there anew where they differ
#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// Only count what differs
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Reconcile {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let bar = progress::items("licences");
        let mut sums = Map::new();
        let mut cursor = None;
        loop {
            let mut body = json!({ "limit": API_BULK_PAGE, "dryRun": self.dry_run });
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
            bar.set_position(sums.get("checked").and_then(Value::as_u64).unwrap_or(0));
            cursor = answer.get("next").cloned();
            if cursor.is_none() {
                break;
            }
        }
        bar.finish_and_clear();
        let sums = Value::Object(sums);
        if self.connection.json {
            print::json(sums.to_string().as_bytes())?;
        } else {
            let verb = if self.dry_run { "to repair" } else { "repaired" };
            let (checked, repaired) = (print::text(&sums, "checked"), print::text(&sums, "repaired"));
            writeln!(io::stdout(), "{checked} checked, {repaired} {verb}")?;
            if let Some(unknown) = sums["unknown"].as_u64().filter(|&unknown| unknown > 0) {
                writeln!(io::stdout(), "{unknown} in the store that nobody here knows: left as they are")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
