use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_host::backup::backup;
use serde_json::json;

use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::output::print;

/// Copy a data directory while it is served
///
/// Both databases are copied as of one moment, and checked. The copy is a data directory, for
/// `restore` or for `serve` itself. It appears under its name once it is complete; a run that is
/// killed leaves a hidden directory, whose name ends in `.draft`.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The directory to create
    #[arg(value_name = "BACKUP")]
    target: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

impl Backup {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let data = self.connection.data_directory()?;
        backup(&data, &self.target)?;
        if self.connection.json {
            print::json(json!({ "backup": self.target }).to_string().as_bytes())?;
        } else {
            writeln!(print::out(), "copied {} to {}", data.display(), self.target.display())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
