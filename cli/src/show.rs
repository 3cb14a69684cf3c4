use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::api::path;
use super::connection::Connection;
use super::licenses::Named;
use super::{CommandError, print};

/// Show a licence
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    license: Named,
    #[command(flatten)]
    connection: Connection,
}

impl Show {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
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
