use std::process::ExitCode;

use clap::Args;
use countersign::domain::DomainRule;
use serde_json::json;

use crate::api::{Answer, path};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::options::values::registrable;
use crate::output::print;
use crate::output::text::member;

/// Add domains to a licence
///
/// Domains that it already has are ignored.
#[derive(Debug, Args)]
pub(crate) struct AddDomain {
    #[command(flatten)]
    license: LicenseArg,
    /// `example.com` covers its subdomains too, `*.example.com` only the subdomains
    #[arg(value_name = "DOMAIN", required = true, value_parser = registrable)]
    domains: Vec<DomainRule>,
    #[command(flatten)]
    connection: Connection,
}

/// Remove domains from a licence
///
/// Domains that it does not have are ignored.
#[derive(Debug, Args)]
pub(crate) struct RemoveDomain {
    #[command(flatten)]
    license: LicenseArg,
    /// The domains, as `show` prints them
    #[arg(value_name = "DOMAIN", required = true)]
    domains: Vec<DomainRule>,
    #[command(flatten)]
    connection: Connection,
}

impl AddDomain {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        let answer = api.post(path(&["licenses", &id, "domains"]), &json!({ "domains": self.domains }))?;
        print_domains(&answer, self.connection.json)
    }
}

impl RemoveDomain {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        let remove = |domain: &DomainRule| api.delete(path(&["licenses", &id, "domains", &domain.to_string()]));
        let answers = self.domains.iter().map(remove).collect::<Result<Vec<_>, _>>()?;
        answers.last().map_or(Ok(ExitCode::SUCCESS), |last| print_domains(last, self.connection.json))
    }
}

/// Prints the domains of the licence after the change.
fn print_domains(answer: &Answer, as_json: bool) -> Result<ExitCode, CommandError> {
    let license = answer.json()?;
    let domains = member(&license, "domains");
    print::done(answer, &format!("{} covers {domains}", member(&license, "id")), as_json)?;
    Ok(ExitCode::SUCCESS)
}
