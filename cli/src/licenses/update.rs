use std::process::ExitCode;

use clap::Args;
use countersign::domain::DomainRule;
use countersign::time::Timestamp;
use serde::Serialize;

use crate::api::path;
use crate::error::CommandError;
use crate::options::body::{as_object, pair, patch};
use crate::options::connection::Connection;
use crate::options::domain::registrable;
use crate::options::license_arg::LicenseArg;
use crate::options::terms::Terms;
use crate::output::print;

/// Change a licence's terms, owner or metadata
///
/// What is not given stays. Lists (`--feature`, `--domain`, `--require`, `--allowance`) are replaced as a whole.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Update {
    #[command(flatten)]
    #[serde(skip)]
    license: LicenseArg,
    /// A domain it covers, in place of all it had; repeat for more. See also `add-domain`
    #[arg(long = "domain", value_name = "DOMAIN", value_parser = registrable)]
    domains: Vec<DomainRule>,
    /// Valid from then on: RFC 3339 date, or date and time
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    not_before: Option<Timestamp>,
    /// Valid until then: RFC 3339 date, or date and time
    #[arg(long = "expires", value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    expires_at: Option<Timestamp>,
    /// Whose it is: what you call your customer
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Something to keep with it: `order=1234`; repeat for more
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = pair)]
    #[serde(serialize_with = "as_object")]
    metadata: Vec<(String, String)>,
    #[command(flatten)]
    #[serde(flatten)]
    terms: Terms,
    /// A field to take away, as JSON calls it: `owner`, `expiresAt`, `domains`, `metadata.order`; repeat for more
    #[arg(long, value_name = "FIELD")]
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
        print::changed(&answer, self.connection.json)?;
        Ok(ExitCode::SUCCESS)
    }
}
