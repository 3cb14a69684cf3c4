use std::process::ExitCode;

use clap::Args;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::output::print;

/// Delete a licence for good
///
/// Validations of its key answer REVOKED from then on.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    license: LicenseArg,
    #[command(flatten)]
    connection: Connection,
}

impl Delete {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        let answer = api.delete(path(&["licenses", &id]))?;
        print::done(&answer, &format!("{id} is deleted"), self.connection.json)?;
        Ok(ExitCode::SUCCESS)
    }
}
