use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::change;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;

/// `suspend`, `resume` and `revoke`. Each may be repeated: the second time changes nothing.
#[derive(Debug, Args)]
pub(crate) struct SetStatus {
    #[command(flatten)]
    license: LicenseArg,
    #[command(flatten)]
    connection: Connection,
}

impl SetStatus {
    pub(crate) fn run(self, verb: &str) -> Result<ExitCode, CommandError> {
        change(self.license, &self.connection, verb, &json!({}))
    }
}
