use std::process::ExitCode;

use clap::Args;
use comfy_table::Table;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::output::print;
use crate::output::table::print_table;
use crate::output::text::{member, plain};

/// List the activations of a licence, its taken seats
#[derive(Debug, Args)]
pub(crate) struct Activations {
    #[command(flatten)]
    license: LicenseArg,
    #[command(flatten)]
    connection: Connection,
}

impl Activations {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        let answer = api.get(path(&["licenses", &id, "activations"]))?;
        if self.connection.json {
            print::json(answer.bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.set_header(["ID", "ACTIVATED", "LAST SEEN", "LEASE ENDS", "DOMAIN"]);
        for seat in answer.json()?["activations"].as_array().map_or(&[][..], Vec::as_slice) {
            let row = ["id", "activatedAt", "lastSeenAt", "leaseEndsAt", "domain"];
            table.add_row(row.map(|name| plain(&member(seat, name))));
        }
        print_table(table)?;
        Ok(ExitCode::SUCCESS)
    }
}
