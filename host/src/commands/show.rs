use std::process::ExitCode;

use clap::Args;
use countersign_host::registry::Registry;

use super::{CommandError, Common, given_or_stdin, print};

/// Show a licence
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    common: Common,
    /// The licence's id or its key; `-` reads it from standard input
    #[arg(value_name = "ID-OR-KEY")]
    license: String,
}

impl Show {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let (license, state) = Registry::open(&self.common.data)?.find(&given_or_stdin(self.license)?)?;
        if self.common.json {
            print::json(&license.to_json())?
        } else {
            print::license(&license, &state)?
        }
        Ok(ExitCode::SUCCESS)
    }
}
