use std::process::ExitCode;

use clap::Args;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::filters::Filters;
use crate::options::paging::Paging;
use crate::output::license::expiry;
use crate::output::pages::{self, Column};
use crate::output::text::member;

/// List licences, oldest first
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
    ("ID", |license| member(license, "id")),
    ("STATUS", |license| member(license, "status")),
    ("PRODUCT", |license| member(license, "product")),
    ("PLAN", |license| member(license, "plan")),
    ("EXPIRES", |license| expiry(license, None)),
    ("KEY", |license| license["hint"].as_str().map_or_else(String::new, |hint| format!("…{hint}"))),
    ("OWNER", |license| member(license, "owner")),
    ("DOMAINS", |license| member(license, "domains")),
];

impl List {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let filters = self.filters.parameters();
        pages::list(&api, &path(&["licenses"]), filters, self.paging, self.connection.json, &COLUMNS)?;
        Ok(ExitCode::SUCCESS)
    }
}
