//! `countersign`: serves licence checks, and works on the licences of a data directory or a server.
//!
//! One file a command. Licences have verbs of their own, everything else a noun and a verb.

#![forbid(unsafe_code)]

mod api;
mod bulk;
mod completions;
mod error;
mod input;
mod licenses;
mod limits;
mod options;
mod output;
mod serve;
mod validate;
mod vendor;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use bulk::{export, import};
use error::CommandError;
use licenses::{activations, change_policy, delete, domains, issue, list, renew, rotate_key, show, status, update};
use options::words;
use output::print;
use vendor::{audit, events, policy, product, reconcile, stats, token};

const EXIT_CODES: &str = "\
Where: every command but `serve` works on a data directory (`--data DIR`) in this process, or asks a server (`--server URL`, with the token
in $COUNTERSIGN_TOKEN or `--token-file FILE`; `--profile NAME` has both). A profile is a table of ~/.config/countersign/profiles.toml
(mode 0600):

  [production]
  server = \"https://licences.example.com\"
  token = \"cst_…\"

Exit codes:
  0  done; of `validate`: the licence is valid
  1  `validate`: the verdict is that it is not valid; `import`: lines failed; `audit verify`: the events are not as they were written
  2  the command line, a value in it or a key is wrong
  3  could not be done or checked: the store, a record in it, a file, an address or the server is at fault
  4  there is no such thing (`validate` answers NOT_FOUND with 1)
  5  the state does not allow it: the licence is revoked, the key or name is taken, something is in use, or others were faster
  6  the token is missing, unknown or expired, or its role does not allow it
  141  whoever read standard output went away: nothing is said, as by programs that SIGPIPE ends

A key on the command line stands in the shell's history and the process list; `-` in its place reads it from standard input.";

fn main() -> ExitCode {
    match words::read().and_then(Cli::run) {
        Ok(code) => code,
        Err(error) => {
            if !error.is_of_reader() {
                print::note(format_args!("countersign: {error}"));
            }
            error.exit_code()
        }
    }
}

/// Licence checks: serves them, and manages the licences they are about.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Issue(Box<issue::Issue>),
    List(list::List),
    Show(show::Show),
    Update(Box<update::Update>),
    /// Suspend a licence, until `resume`
    Suspend(status::SetStatus),
    /// Resume a suspended licence
    Resume(status::SetStatus),
    /// Revoke a licence, for good
    Revoke(status::SetStatus),
    Renew(renew::Renew),
    RotateKey(rotate_key::RotateKey),
    ChangePolicy(change_policy::ChangePolicy),
    AddDomain(domains::AddDomain),
    RemoveDomain(domains::RemoveDomain),
    Activations(activations::Activations),
    Delete(delete::Delete),
    Validate(validate::Validate),
    Import(import::Import),
    Export(export::Export),
    /// What is licensed
    #[command(subcommand)]
    Product(product::Product),
    /// What licences are issued from
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Who may use a server's API
    #[command(subcommand)]
    Token(token::TokenCommand),
    Events(events::Events),
    /// What was written of every change
    #[command(subcommand)]
    Audit(audit::Audit),
    Stats(stats::Stats),
    Reconcile(reconcile::Reconcile),
    Completions(completions::Completions),
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Issue(issue) => issue.run(),
            Command::List(list) => list.run(),
            Command::Show(show) => show.run(),
            Command::Update(update) => update.run(),
            Command::Suspend(change) => change.run("suspend"),
            Command::Resume(change) => change.run("resume"),
            Command::Revoke(change) => change.run("revoke"),
            Command::Renew(renew) => renew.run(),
            Command::RotateKey(rotate) => rotate.run(),
            Command::ChangePolicy(change) => change.run(),
            Command::AddDomain(add) => add.run(),
            Command::RemoveDomain(remove) => remove.run(),
            Command::Activations(activations) => activations.run(),
            Command::Delete(delete) => delete.run(),
            Command::Validate(validate) => validate.run(),
            Command::Import(import) => import.run(),
            Command::Export(export) => export.run(),
            Command::Product(product) => product.run(),
            Command::Policy(policy) => policy.run(),
            Command::Token(token) => token.run(),
            Command::Events(events) => events.run(),
            Command::Audit(audit) => audit.run(),
            Command::Stats(stats) => stats.run(),
            Command::Reconcile(reconcile) => reconcile.run(),
            Command::Completions(completions) => completions.run(),
        }
    }
}
