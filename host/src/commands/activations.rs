use std::process::ExitCode;

use clap::Args;
use comfy_table::Table;
use countersign::decide::occupancy;
use countersign::verdict::{ActivationFacts, Occupancy};
use countersign_host::registry::Registry;
use serde::Serialize;

use super::{CommandError, Common, given_or_stdin, now, print};

/// List who has a seat of a licence
#[derive(Debug, Args)]
pub(super) struct Activations {
    #[command(flatten)]
    common: Common,
    /// The licence's id or its key; `-` reads it from standard input
    #[arg(value_name = "ID-OR-KEY")]
    license: String,
}

#[derive(Serialize)]
struct Listed {
    #[serde(skip_serializing_if = "Option::is_none")]
    seats: Option<Occupancy>,
    activations: Vec<ActivationFacts>,
}

impl Activations {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let (license, state) = Registry::open(&self.common.data)?.find(&given_or_stdin(self.license)?)?;
        let (seats, now) = (occupancy(&license, &state, now()), now());
        let live = state.seats.iter().filter(|seat| seat.is_live(now));
        if self.common.json {
            let listed = Listed { seats, activations: live.map(ActivationFacts::from).collect() };
            print::json(&serde_json::to_vec(&listed).map_err(anyhow::Error::from)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.set_header(["ID", "SINCE", "LEASE ENDS"]);
        for seat in live {
            let until = seat.until.map_or_else(String::new, |until| until.to_string());
            table.add_row([seat.holder.activation_id().to_string(), seat.since.to_string(), until]);
        }
        print::table(table)?;
        Ok(ExitCode::SUCCESS)
    }
}
