use std::process::ExitCode;

use clap::Args;
use comfy_table::Table;

use crate::api::{path, query};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::output::print;

/// Count licences, what is not delivered to their store yet, and validations by day and code
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Count the validations of this licence, by its id
    #[arg(long, value_name = "ID")]
    license: Option<String>,
    /// Count validations from this day on: 2026-11-22
    #[arg(long, value_name = "DAY")]
    since: Option<String>,
    /// Count validations until this day
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
            ("licences active", &stats["licenses"]["active"]),
            ("suspended", &stats["licenses"]["suspended"]),
            ("revoked", &stats["licenses"]["revoked"]),
            ("expired", &stats["licenses"]["expired"]),
            ("expiring in 30 days", &stats["licenses"]["expiringIn30Days"]),
            ("products", &stats["products"]),
            ("policies", &stats["policies"]),
            ("not delivered yet", &stats["outbox"]["depth"]),
            ("oldest of them, seconds", &stats["outbox"]["oldestSeconds"]),
            ("validations not counted", &stats["validations"]["lost"]),
        ] {
            if !value.is_null() {
                table.add_row([name, &value.to_string()]);
            }
        }
        for day in stats["validations"]["days"].as_array().into_iter().flatten() {
            for (code, count) in day["codes"].as_object().into_iter().flatten() {
                table.add_row(
                    [format!("{} {code}", print::text(day, "day")), count.to_string()].map(|cell| print::plain(&cell)),
                );
            }
        }
        print::table(table)?;
        Ok(ExitCode::SUCCESS)
    }
}
