use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use crate::api::{path, query};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::output::print;

/// Release seats of a licence: one, those of a holder, or all
///
/// A holder that still runs takes a seat again with its next activation. Releasing a seat that
/// nobody holds is not an error.
#[derive(Debug, Args)]
#[group(id = "seats", required = true, multiple = false, args = ["activation", "domain", "user", "fingerprint", "all"])]
pub(crate) struct Release {
    #[command(flatten)]
    license: LicenseArg,
    /// The seat, as `activations` prints it: `act_…`
    #[arg(value_name = "ACTIVATION")]
    activation: Option<String>,
    /// The seats of this domain
    #[arg(long)]
    domain: Option<String>,
    /// The seats of this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The seats of the machine with this fingerprint, or with this part of one
    #[arg(long, value_name = "TEXT")]
    fingerprint: Option<String>,
    /// All seats
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Release {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        let seats = match &self.activation {
            Some(activation) => path(&["licenses", &id, "activations", activation]),
            None => query(
                path(&["licenses", &id, "activations"]),
                &[("domain", self.domain), ("user", self.user), ("fingerprint", self.fingerprint)],
            ),
        };
        let answer = api.delete(seats)?;
        if self.connection.json {
            print::json(answer.bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        let released = answer.json()?;
        match released["released"].as_array().map_or(0, Vec::len) {
            1 => writeln!(print::out(), "1 seat is released")?,
            count => writeln!(print::out(), "{count} seats are released")?,
        }
        print::note_propagation(&released);
        Ok(ExitCode::SUCCESS)
    }
}
