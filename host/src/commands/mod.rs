//! The command line: one file a command.

mod activations;
mod export;
mod issue;
mod list;
mod print;
mod serve;
mod show;
mod status;
mod validate;

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};
use countersign::limits::MAX_KEY_BYTES;
use countersign::record::Status;
use countersign::time::Timestamp;
use countersign_host::registry::RegistryError;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; of `validate`: the licence is valid
  1  `validate` alone: the verdict is that it is not valid
  2  the command line, a value in it or a key is wrong
  3  could not be done or checked: the store, a record in it, a file or an address is at fault
  4  there is no such licence (`validate` answers NOT_FOUND with 1)
  5  the licence's state does not allow it: it is revoked, or there is one with this key already

A key on the command line stands in the shell's history and the process list; `-` in its place reads it from standard input.";

/// Licence checks: serves them, and issues and changes the licences they are about.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Issue(issue::Issue),
    List(list::List),
    Show(show::Show),
    Activations(activations::Activations),
    /// Suspend a licence, until `resume`
    Suspend(status::Change),
    /// Resume a suspended licence
    Resume(status::Change),
    /// Revoke a licence, for good
    Revoke(status::Change),
    Validate(validate::Validate),
    Export(export::Export),
}

/// What every command has.
#[derive(Debug, Args)]
struct Common {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why a command failed, in one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{0}")]
    Input(String),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl CommandError {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Input(_) | Self::Registry(RegistryError::Name(_)) => 2,
            Self::Registry(
                RegistryError::NoStore | RegistryError::Store(_) | RegistryError::Record(..) | RegistryError::State(..),
            ) => 3,
            Self::Other(_) => 3,
            Self::Registry(RegistryError::NoSuchLicense) => 4,
            Self::Registry(RegistryError::KeyTaken | RegistryError::Revoked) => 5,
        })
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Other(error.into())
    }
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Issue(issue) => issue.run(),
            Command::List(list) => list.run(),
            Command::Show(show) => show.run(),
            Command::Activations(activations) => activations.run(),
            Command::Suspend(change) => change.run(Status::Suspended),
            Command::Resume(change) => change.run(Status::Active),
            Command::Revoke(change) => change.run(Status::Revoked),
            Command::Validate(validate) => validate.run(),
            Command::Export(export) => export.run(),
        }
    }
}

/// What was given, or the first line of standard input in place of `-`.
fn given_or_stdin(given: String) -> Result<String, CommandError> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    // One more than a longest key and its line's end, so that one that is too long is seen to be.
    io::stdin().take(MAX_KEY_BYTES as u64 + 3).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
