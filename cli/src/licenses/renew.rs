use std::process::ExitCode;

use clap::Args;
use countersign::span::Span;
use countersign::time::Timestamp;
use serde::Serialize;

use super::change;
use crate::error::CommandError;
use crate::options::body::body;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;

/// Extend a licence
///
/// The time is added to its expiry, or to now if it has expired.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Renew {
    #[command(flatten)]
    #[serde(skip)]
    license: LicenseArg,
    /// Extend it by this long: `12h`, `30d`; on the calendar `1mo`, `1y`; or by ISO 8601, such as
    /// `P1M` [default: the policy's duration]
    #[arg(long, value_name = "DURATION", value_parser = Span::parse, conflicts_with = "expires_at")]
    duration: Option<Span>,
    /// Set the expiry instead: the end of a date, or a date and time (RFC 3339)
    #[arg(long = "expires", value_name = "TIME", value_parser = Timestamp::parse_end)]
    expires_at: Option<Timestamp>,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

impl Renew {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let body = body(&self)?;
        change(self.license, &self.connection, "renew", &body)
    }
}
