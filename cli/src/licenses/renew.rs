use std::process::ExitCode;

use clap::Args;
use countersign::time::Timestamp;
use serde::Serialize;

use super::change;
use crate::error::CommandError;
use crate::options::body::{body, seconds};
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;

/// Give a licence more time, from its end on, or from now if that is over
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Renew {
    #[command(flatten)]
    #[serde(skip)]
    license: LicenseArg,
    /// How much more: seconds, or a number with s, m, h or d [default: the policy's duration]
    #[arg(long = "duration", value_name = "DURATION", value_parser = seconds, conflicts_with = "expires_at")]
    duration_seconds: Option<u32>,
    /// Valid until then: RFC 3339 date, or date and time
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
