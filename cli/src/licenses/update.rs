use std::process::ExitCode;

use clap::Args;
use countersign::domain::DomainRule;
use countersign::time::Timestamp;
use serde::Serialize;

use crate::api::path;
use crate::error::CommandError;
use crate::options::body::{as_object, patch};
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::options::terms::Terms;
use crate::options::values::pair;
use crate::options::values::registrable;
use crate::output::license::print_changed;

/// Change a licence's terms, owner or metadata
///
/// Options that are not given leave their fields as they are. A list (`--feature`, `--domain`,
/// `--require`, `--allowance`) replaces the whole list; a metadata entry only the entry of its
/// name.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Update {
    #[command(flatten)]
    #[serde(skip)]
    license: LicenseArg,
    /// A domain the licence covers, instead of all it has; repeat for more. See also `add-domain`
    #[arg(long = "domain", value_name = "DOMAIN", value_parser = registrable)]
    domains: Vec<DomainRule>,
    /// Not valid before this date, or date and time (RFC 3339). A date is in UTC, or as
    /// `2027-01-31+02:00` says
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_start)]
    not_before: Option<Timestamp>,
    /// Expires after this date, or at this date and time (RFC 3339). A date is in UTC, or as
    /// `2027-01-31+02:00` says
    #[arg(long = "expires", value_name = "TIME", value_parser = Timestamp::parse_end)]
    expires_at: Option<Timestamp>,
    /// The customer, under your own name or id for them
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Data of your own, such as `order=1234`; repeat for more
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = pair)]
    #[serde(serialize_with = "as_object")]
    metadata: Vec<(String, String)>,
    #[command(flatten)]
    #[serde(flatten)]
    terms: Terms,
    /// A field to clear, by its name in JSON, such as `owner`, `expiresAt` or `metadata.order`;
    /// repeat for more
    #[arg(long, value_name = "FIELD", help_heading = None::<&str>)]
    #[serde(skip)]
    unset: Vec<String>,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

impl Update {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let changes = patch(&self, &self.unset)?;
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        let answer = api.patch(path(&["licenses", &id]), &changes)?;
        print_changed(&answer, self.connection.json)?;
        Ok(ExitCode::SUCCESS)
    }
}
