use std::process::ExitCode;

use clap::Args;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::filters::Filters;
use crate::output::pages::{self, Column, Paging};
use crate::output::print;

/// List licences, in the order they were made
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: [Column; 8] = [
    ("ID", |license| print::text(license, "id")),
    ("STATUS", |license| print::text(license, "status")),
    ("PRODUCT", |license| print::text(license, "product")),
    ("PLAN", |license| print::text(license, "plan")),
    ("EXPIRES", |license| print::expiry(license, None)),
    ("KEY", |license| license["hint"].as_str().map_or_else(String::new, |hint| format!("…{hint}"))),
    ("OWNER", |license| print::text(license, "owner")),
    ("DOMAINS", |license| print::text(license, "domains")),
];

impl List {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let filters = self.filters.parameters();
        pages::list(&api, &path(&["licenses"]), filters, self.paging, self.connection.json, &COLUMNS)?;
        Ok(ExitCode::SUCCESS)
    }
}
