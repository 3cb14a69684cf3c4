use std::process::ExitCode;

use clap::Args;
use countersign::license::Status;
use countersign::name::Product;
use countersign::time::Timestamp;

use super::api::path;
use super::connection::Connection;
use super::pages::{self, Column, Paging};
use super::{CommandError, print};

/// List licences, in the order they were made
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

/// Which licences.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct Filters {
    /// Those of this product
    #[arg(long)]
    product: Option<Product>,
    /// Those of this policy
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
    /// `active`, `suspended` or `revoked`
    #[arg(long)]
    status: Option<Status>,
    /// Those of this owner
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Those with exactly this entry among their domains
    #[arg(long)]
    domain: Option<String>,
    /// Those that expire before then: RFC 3339 date, or date and time
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    expiring_before: Option<Timestamp>,
    /// Those whose key's end, owner or metadata begins with this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

impl Filters {
    /// As parameters of a query.
    pub(super) fn parameters(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("product", self.product.as_ref().map(ToString::to_string)),
            ("policy", self.policy.clone()),
            ("status", self.status.map(|status| status.to_string())),
            ("owner", self.owner.clone()),
            ("domain", self.domain.clone()),
            ("expiringBefore", self.expiring_before.map(|at| at.to_string())),
            ("search", self.search.clone()),
        ]
    }
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
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let filters = self.filters.parameters();
        pages::list(&api, &path(&["licenses"]), filters, self.paging, self.connection.json, &COLUMNS)?;
        Ok(ExitCode::SUCCESS)
    }
}
