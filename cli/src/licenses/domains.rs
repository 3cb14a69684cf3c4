use std::process::ExitCode;

use clap::Args;
use countersign::domain::DomainRule;
use serde_json::json;

use crate::api::{Answer, path};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::domain::registrable;
use crate::options::license_arg::LicenseArg;
use crate::output::print;

/// Add domains to a licence; adding what it has is no error
#[derive(Debug, Args)]
pub(crate) struct AddDomain {
    #[command(flatten)]
    license: LicenseArg,
    /// Domains, each with all below it, or `*.example.com` for those below alone
    #[arg(value_name = "DOMAIN", required = true, value_parser = registrable)]
    domains: Vec<DomainRule>,
    #[command(flatten)]
    connection: Connection,
}

/// Remove domains from a licence; removing what it has not is no error
#[derive(Debug, Args)]
pub(crate) struct RemoveDomain {
    #[command(flatten)]
    license: LicenseArg,
    /// The entries as they are listed
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

/// The domains that the licence has by now.
fn print_domains(answer: &Answer, as_json: bool) -> Result<ExitCode, CommandError> {
    let license = answer.json()?;
    let domains = print::text(&license, "domains");
    print::done(answer, &format!("{} covers {domains}", print::text(&license, "id")), as_json)?;
    Ok(ExitCode::SUCCESS)
}
