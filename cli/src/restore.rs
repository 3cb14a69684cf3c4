use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_host::backup::Restoration;
use serde_json::json;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::output::print;

/// Make a data directory of a backup
///
/// The backup is one of `backup`, or a copy of a whole data directory that nobody served. It is
/// checked first: both files must be whole, and of a version that this program reads. The data
/// directory must be absent or empty.
///
/// If the database alone was lost, `--keep-store` restores the database alone. The store may then
/// know changes that the database does not: `reconcile` lists them, and `reconcile --adopt` or
/// `--drop` decides about them.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The directory that `backup` created
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// Keep the store of the data directory, and restore the missing database alone
    #[arg(long)]
    keep_store: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Restore {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let data = self.connection.data_directory()?;
        let restoration = Restoration::prepare(&self.backup, &data, self.keep_store)?;
        if restoration.has_database() {
            // The registrar refuses a schema that it does not know, and migrates an older one.
            self.connection.create_at(restoration.directory())?.get(path(&["stats"]))?;
        }
        restoration.finish()?;
        if self.connection.json {
            print::json(json!({ "restored": data }).to_string().as_bytes())?;
        } else {
            writeln!(print::out(), "restored {} from {}", data.display(), self.backup.display())?;
            if self.keep_store {
                writeln!(print::out(), "`countersign reconcile` lists what the store knows and the database does not")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
