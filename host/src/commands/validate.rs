use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use countersign::decide::judge;
use countersign::request::{Fields, Verb};
use countersign_host::registry::Registry;

use super::{CommandError, Common, given_or_stdin, now, print};

/// Validate a key, by the rules that the server goes by
///
/// It changes nothing: the time of a licence that begins with its first validation does not begin.
#[derive(Debug, Args)]
pub(super) struct Validate {
    #[command(flatten)]
    common: Common,
    /// The key; `-` reads it from standard input
    key: String,
    /// The product that asks
    #[arg(long)]
    product: Option<String>,
    /// Where the program runs
    #[arg(long)]
    domain: Option<String>,
    /// The program's version
    #[arg(long)]
    version: Option<String>,
    /// When that version was released: RFC 3339 date, or date and time
    #[arg(long, value_name = "TIME")]
    released_at: Option<String>,
    /// A feature that must be held; repeat for more
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<String>,
    /// The machine it runs on; repeat for each component of a fingerprint
    #[arg(long = "fingerprint", value_name = "TEXT")]
    fingerprint: Vec<String>,
    /// Who runs it
    #[arg(long, value_name = "TEXT")]
    user: Option<String>,
    /// An allowance of which something must be left
    #[arg(long, value_name = "NAME")]
    allowance: Option<String>,
}

impl Validate {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let fields = Fields {
            key: Some(given_or_stdin(self.key)?),
            product: self.product,
            domain: self.domain,
            version: self.version,
            released_at: self.released_at,
            features: Some(self.features),
            fingerprint: Some(self.fingerprint).filter(|components| !components.is_empty()),
            user: self.user,
            allowance: self.allowance,
            ..Fields::default()
        };
        let request = fields.verify(Verb::Validate).map_err(|error| CommandError::Input(error.detail))?;
        let registry = Registry::open(&self.common.data)?;
        let found = request.key.as_ref().map(|key| registry.get(key)).transpose()?.flatten();
        let (license, state) = found.unzip();
        let verdict = judge(license.as_ref(), &state.unwrap_or_default(), &request, now());
        if self.common.json {
            print::json(&verdict.to_json(&request))?;
        } else {
            writeln!(io::stdout(), "{}: {}", verdict.code, verdict.code.detail())?;
            for warning in &verdict.warnings {
                writeln!(io::stdout(), "warning: {warning}")?;
            }
            if verdict.grace {
                writeln!(io::stdout(), "valid only because the grace period after expiry still runs")?;
            }
        }
        Ok(if verdict.is_valid() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}
