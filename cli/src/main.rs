//! `countersign`: serves licence checks, and manages licences in a data directory or on a server.
//!
//! [`options`] reads what a command is given, [`api`] sends requests to the vendor API, and
//! [`output`] prints the answers. Commands on one licence are in [`licenses`], on many in [`bulk`],
//! and on everything else in [`vendor`], one a file.

#![forbid(unsafe_code)]

mod api;
mod backup;
mod bulk;
mod completions;
mod error;
mod help;
mod input;
mod licenses;
mod limits;
mod measure;
mod options;
mod output;
mod restore;
mod serve;
mod validate;
mod vendor;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use bulk::{export, import};
use error::CommandError;
use licenses::{
    activations, change_policy, delete, domains, issue, list, release, renew, rotate_key, show, status, transfer,
    update, usage,
};
use options::words;
use output::print;
use vendor::{audit, edge, events, forget, policy, product, reconcile, stats, token};

fn main() -> ExitCode {
    match words::read(help::grouped(Cli::command())).and_then(Cli::run) {
        Ok(code) => code,
        Err(error) => {
            if !error.is_of_reader() {
                print::note(format_args!("countersign: {error}"));
            }
            error.exit_code()
        }
    }
}

/// Serve licence checks, and manage licences
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = help::AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Issue(Box<issue::Issue>),
    List(list::List),
    Show(show::Show),
    Update(Box<update::Update>),
    /// Suspend a licence, or all that filters find, until `resume`
    Suspend(Box<status::SetStatus>),
    /// Resume a suspended licence, or all that filters find
    Resume(Box<status::SetStatus>),
    /// Revoke a licence; it cannot be resumed
    Revoke(status::Revoke),
    Renew(renew::Renew),
    RotateKey(rotate_key::RotateKey),
    ChangePolicy(change_policy::ChangePolicy),
    AddDomain(domains::AddDomain),
    RemoveDomain(domains::RemoveDomain),
    Activations(activations::Activations),
    Release(release::Release),
    Transfer(transfer::Transfer),
    Usage(usage::Usage),
    Delete(delete::Delete),
    Validate(validate::Validate),
    Measure(Box<measure::Measure>),
    Import(import::Import),
    Export(export::Export),
    /// Manage products
    #[command(subcommand)]
    Product(product::Product),
    /// Manage policies, the templates of licences
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Manage the tokens of a server's vendor API
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Manage edges, which serve licences near their users
    #[command(subcommand)]
    Edge(edge::EdgeCommand),
    Events(events::Events),
    /// Check the history of changes
    #[command(subcommand)]
    Audit(audit::Audit),
    Stats(stats::Stats),
    Reconcile(reconcile::Reconcile),
    Forget(forget::Forget),
    Completions(completions::Completions),
}

impl Cli {
    fn run(self) -> Result<ExitCode, CommandError> {
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Backup(backup) => backup.run(),
            Command::Restore(restore) => restore.run(),
            Command::Issue(issue) => issue.run(),
            Command::List(list) => list.run(),
            Command::Show(show) => show.run(),
            Command::Update(update) => update.run(),
            Command::Suspend(status) => status.run("suspend"),
            Command::Resume(status) => status.run("resume"),
            Command::Revoke(revoke) => revoke.run(),
            Command::Renew(renew) => renew.run(),
            Command::RotateKey(rotate) => rotate.run(),
            Command::ChangePolicy(change) => change.run(),
            Command::AddDomain(add) => add.run(),
            Command::RemoveDomain(remove) => remove.run(),
            Command::Activations(activations) => activations.run(),
            Command::Release(release) => release.run(),
            Command::Transfer(transfer) => transfer.run(),
            Command::Usage(usage) => usage.run(),
            Command::Delete(delete) => delete.run(),
            Command::Validate(validate) => validate.run(),
            Command::Measure(measure) => measure.run(),
            Command::Import(import) => import.run(),
            Command::Export(export) => export.run(),
            Command::Product(product) => product.run(),
            Command::Policy(policy) => policy.run(),
            Command::Token(token) => token.run(),
            Command::Edge(edge) => edge.run(),
            Command::Events(events) => events.run(),
            Command::Audit(audit) => audit.run(),
            Command::Stats(stats) => stats.run(),
            Command::Reconcile(reconcile) => reconcile.run(),
            Command::Forget(forget) => forget.run(),
            Command::Completions(completions) => completions.run(&mut help::grouped(Cli::command())),
        }
    }
}
