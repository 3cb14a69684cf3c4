use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::change;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;

/// Move a licence to another policy of its product
///
/// All its terms become those of the policy.
#[derive(Debug, Args)]
pub(crate) struct ChangePolicy {
    #[command(flatten)]
    license: LicenseArg,
    /// The policy: `pol_…`
    #[arg(value_name = "POLICY")]
    policy: String,
    #[command(flatten)]
    connection: Connection,
}

impl ChangePolicy {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        change(self.license, &self.connection, "change-policy", &json!({ "policy": self.policy }))
    }
}
