use std::process::ExitCode;

use clap::Args;
use comfy_table::Table;
use serde_json::json;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::output::print;
use crate::output::table::print_table;
use crate::output::text::{member, plain};

/// Show the usage of a licence's allowances, or set it
#[derive(Debug, Args)]
pub(crate) struct Usage {
    #[command(flatten)]
    license: LicenseArg,
    /// The allowance to set
    #[arg(value_name = "ALLOWANCE", requires = "amount")]
    allowance: Option<String>,
    /// How much of it was used in the present period: 0 begins again
    #[arg(long = "set", value_name = "AMOUNT", requires = "allowance", id = "amount")]
    used: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

impl Usage {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        if let (Some(allowance), Some(used)) = (&self.allowance, self.used) {
            let body = json!({ "allowance": allowance, "used": used });
            let answer = api.post(path(&["licenses", &id, "usage"]), &body)?;
            let usage = answer.json()?["usage"].take();
            let sentence = format!("{}: {} of {} used", plain(allowance), usage["used"], usage["limit"]);
            print::done(&answer, &sentence, self.connection.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let state = api.get(path(&["licenses", &id, "activations"]))?.json()?;
        if self.connection.json {
            print::json(json!({ "usage": state["usage"] }).to_string().as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.set_header(["ALLOWANCE", "LIMIT", "USED", "REMAINING", "RESETS"]);
        for allowance in state["usage"].as_array().map_or(&[][..], Vec::as_slice) {
            let row = ["name", "limit", "used", "remaining", "resetsAt"];
            table.add_row(row.map(|name| plain(&member(allowance, name))));
        }
        print_table(table)?;
        Ok(ExitCode::SUCCESS)
    }
}
