use std::process::ExitCode;

use clap::Args;
use comfy_table::Table;

use crate::api::{path, query};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::output::print;
use crate::output::table::print_table;
use crate::output::text::{member, plain};

/// Count licences and validations
///
/// Also prints how many records have not reached the store yet.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Only validations of the licence with this id
    #[arg(long, value_name = "ID")]
    license: Option<String>,
    /// Only validations from this day on, such as 2026-11-22
    #[arg(long, value_name = "DAY")]
    since: Option<String>,
    /// Only validations until this day
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Stats {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let parameters = [("license", self.license), ("since", self.since), ("until", self.until)];
        let answer = self.connection.open()?.get(query(path(&["stats"]), &parameters))?;
        if self.connection.json {
            print::json(answer.bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        let stats = answer.json()?;
        let mut table = Table::new();
        for (name, value) in [
            ("active licences", &stats["licenses"]["active"]),
            ("suspended licences", &stats["licenses"]["suspended"]),
            ("revoked licences", &stats["licenses"]["revoked"]),
            ("expired licences", &stats["licenses"]["expired"]),
            ("expiring in 30 days", &stats["licenses"]["expiringIn30Days"]),
            ("whose time has not begun", &stats["licenses"]["notBegun"]),
            ("with a key that is easy to guess", &stats["licenses"]["weakKeys"]),
            ("products", &stats["products"]),
            ("policies", &stats["policies"]),
            ("records not yet in the store", &stats["outbox"]["depth"]),
            ("oldest of these, seconds", &stats["outbox"]["oldestSeconds"]),
            ("validations not counted", &stats["validations"]["lost"]),
        ] {
            if !value.is_null() {
                table.add_row([name, &value.to_string()]);
            }
        }
        for day in stats["validations"]["days"].as_array().into_iter().flatten() {
            for (code, count) in day["codes"].as_object().into_iter().flatten() {
                table.add_row([format!("{} {code}", member(day, "day")), count.to_string()].map(|cell| plain(&cell)));
            }
        }
        print_table(table)?;
        Ok(ExitCode::SUCCESS)
    }
}
