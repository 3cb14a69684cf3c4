use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::api::path;
use crate::error::CommandError;
use crate::input::given_or_stdin;
use crate::limits::API_BULK_PAGE;
use crate::options::connection::Connection;
use crate::output::print;
use crate::output::progress;

/// Remove the personal data of an owner
///
/// Removes owner and metadata from the licences of this owner, and from what the history says of
/// these and of those that the owner had or that were deleted. The history still verifies: it says
/// which of its events lost personal data, and when, but not whose. The licences stay valid, unless
/// `--delete` is given.
///
/// What remains: keys, domains and terms of licences, which say what was sold; backups and exports,
/// which must be made anew; and the database's log, until it is overwritten.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The owner, as licences have it, in upper or lower case; `-` reads it from standard input
    owner: String,
    /// Delete the licences too; validations of their keys answer REVOKED
    #[arg(long)]
    delete: bool,
    /// Count what would be removed and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Forget {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let owner = given_or_stdin(self.owner)?;
        let bar = progress::items("licences");
        let mut totals = Map::new();
        let mut body = json!({ "owner": owner, "delete": self.delete, "dryRun": self.dry_run, "limit": API_BULK_PAGE });
        loop {
            let answer = api.post(path(&["owners", "forget"]), &body)?.json()?;
            for name in ["licenses", "events", "answers"] {
                let total = totals.get(name).and_then(Value::as_u64).unwrap_or(0);
                totals.insert(name.to_owned(), (total + answer[name].as_u64().unwrap_or(0)).into());
            }
            bar.inc(API_BULK_PAGE.into());
            let Some(next) = answer.get("next") else { break };
            body["cursor"] = next.clone();
        }
        bar.finish_and_clear();
        if self.connection.json {
            print::json(Value::Object(totals).to_string().as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = print::out();
        let would = if self.dry_run { "would be " } else { "" };
        for (name, one, many, done) in [
            ("licenses", "licence", "licences", if self.delete { "deleted" } else { "without owner and metadata" }),
            ("events", "event", "events", "without personal data"),
            ("answers", "stored answer", "stored answers", "erased"),
        ] {
            let count = totals.get(name).and_then(Value::as_u64).unwrap_or(0);
            writeln!(out, "{count} {} {would}{done}", if count == 1 { one } else { many })?;
        }
        if !self.dry_run {
            writeln!(out, "backups and exports made before still have what was removed")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
