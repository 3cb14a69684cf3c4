use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::output::license::print_license;
use crate::output::print;

/// Show a licence
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    license: LicenseArg,
    #[command(flatten)]
    connection: Connection,
}

impl Show {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let answer = self.license.read(&api)?;
        if self.connection.json {
            print::json(answer.bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        let license = answer.json()?;
        let has_state = ["activation", "allowances", "expiryBasis"].iter().any(|field| license.get(field).is_some());
        let usage = match &license["id"] {
            Value::String(id) if has_state => Some(api.get(path(&["licenses", id, "activations"]))?.json()?),
            _ => None,
        };
        print_license(&license, usage.as_ref())?;
        Ok(ExitCode::SUCCESS)
    }
}
