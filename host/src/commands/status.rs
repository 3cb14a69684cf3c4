use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use countersign::record::Status;
use countersign_host::registry::Registry;

use super::{CommandError, Common, given_or_stdin, print};

/// `suspend`, `resume` and `revoke`. Doing one again changes nothing and is no error.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    common: Common,
    /// The licence's id or its key; `-` reads it from standard input
    #[arg(value_name = "ID-OR-KEY")]
    license: String,
}

impl Change {
    pub(super) fn run(self, status: Status) -> Result<ExitCode, CommandError> {
        let license = Registry::open(&self.common.data)?.set_status(&given_or_stdin(self.license)?, status)?;
        if self.common.json {
            print::json(&license.to_json())?;
        } else {
            writeln!(io::stdout(), "{} is {}", license.id, license.status)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
