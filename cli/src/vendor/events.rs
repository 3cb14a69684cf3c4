use std::process::ExitCode;

use clap::Args;
use countersign::time::Timestamp;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::paging::Paging;
use crate::output::pages::{self, Column};
use crate::output::text::member;

/// List changes, oldest first: what, when and by whom
///
/// `--json` adds the state before and after each change.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only changes to the licence, product, policy or token with this id
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Only changes by this actor: a token's id, `operator` (the configured admin token) or `host`
    /// (the command line on a data directory)
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Only changes of this kind, such as `license.created` or `token.revoked`
    #[arg(long)]
    action: Option<String>,
    /// Only changes from this date, or date and time, on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_start)]
    since: Option<Timestamp>,
    /// Only changes until the end of this date, or before this date and time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_end)]
    until: Option<Timestamp>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: [Column; 6] = [
    ("NUMBER", |event| member(event, "number")),
    ("AT", |event| member(event, "at")),
    ("ACTOR", |event| member(event, "actor")),
    ("ACTION", |event| member(event, "action")),
    ("SUBJECT", |event| member(event, "subject")),
    ("REQUEST", |event| member(event, "requestId")),
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
