use std::process::ExitCode;

use clap::Args;
use countersign::time::Timestamp;
use serde::Serialize;

use super::change;
use crate::error::CommandError;
use crate::options::body::body;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::options::values::seconds;

/// Extend a licence
///
/// The time is added to its expiry, or to now if it has expired.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Renew {
    #[command(flatten)]
    #[serde(skip)]
    license: LicenseArg,
    /// Extend it by this long: seconds, or a number with s, m, h or d [default: the policy's
    /// duration]
    #[arg(long = "duration", value_name = "DURATION", value_parser = seconds, conflicts_with = "expires_at")]
    duration_seconds: Option<u32>,
    /// Set the expiry instead: a date, or a date and time (RFC 3339)
    #[arg(long = "expires", value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
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
