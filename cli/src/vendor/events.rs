use std::process::ExitCode;

use clap::Args;
use countersign::time::Timestamp;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::output::pages::{self, Column, Paging};
use crate::output::print;

/// List what was changed, when and by whom; `--json` has what stood before and after
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Those about this licence, product, policy or token, by its id
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// What this one did: a token's id, `operator` or `host`
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Those of this kind: `license.created`, `token.revoked`, …
    #[arg(long)]
    action: Option<String>,
    /// From then on: RFC 3339 date, or date and time
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    since: Option<Timestamp>,
    /// Until then
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    until: Option<Timestamp>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: [Column; 6] = [
    ("NUMBER", |event| print::text(event, "number")),
    ("AT", |event| print::text(event, "at")),
    ("ACTOR", |event| print::text(event, "actor")),
    ("ACTION", |event| print::text(event, "action")),
    ("SUBJECT", |event| print::text(event, "subject")),
    ("REQUEST", |event| print::text(event, "requestId")),
];

impl Events {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let filters = vec![
            ("subject", self.subject),
            ("actor", self.actor),
            ("action", self.action),
            ("since", self.since.map(|at| at.to_string())),
            ("until", self.until.map(|at| at.to_string())),
        ];
        let api = self.connection.open()?;
        pages::list(&api, &path(&["events"]), filters, self.paging, self.connection.json, &COLUMNS)?;
        Ok(ExitCode::SUCCESS)
    }
}
