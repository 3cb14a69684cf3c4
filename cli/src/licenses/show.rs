use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
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
        let is_used = ["activation", "allowances", "expiryBasis"].iter().any(|field| license.get(field).is_some());
        let use_of_it = match &license["id"] {
            Value::String(id) if is_used => Some(api.get(path(&["licenses", id, "activations"]))?.json()?),
            _ => None,
        };
        print::license(&license, use_of_it.as_ref())?;
        Ok(ExitCode::SUCCESS)
    }
}
