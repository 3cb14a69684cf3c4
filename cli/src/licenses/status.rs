use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::change;
use crate::api::{path, query};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::filters::Filters;
use crate::options::license_arg::LicenseArg;
use crate::output::print;
use crate::output::progress;

/// `revoke`, which may be repeated: the second time changes nothing.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    license: LicenseArg,
    #[command(flatten)]
    connection: Connection,
}

/// `suspend` and `resume`, of one licence or of all that the filters find. Each may be repeated.
#[derive(Debug, Args)]
pub(crate) struct SetStatus {
    /// The licence's id (`lic_…`) or key; `-` reads it from standard input
    #[arg(value_name = "ID-OR-KEY")]
    license: Option<String>,
    /// Print what would be changed, and change nothing
    #[arg(long, conflicts_with = "license")]
    dry_run: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    connection: Connection,
}

impl Revoke {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        change(self.license, &self.connection, "revoke", &json!({}))
    }
}

impl SetStatus {
    pub(crate) fn run(self, verb: &str) -> Result<ExitCode, CommandError> {
        let filters = self.filters.parameters();
        let has_filters = filters.iter().any(|(_, value)| value.is_some());
        match self.license {
            Some(license) if !has_filters => change(license.into(), &self.connection, verb, &json!({})),
            Some(_) => Err(CommandError::Input("name one licence, or filters, and not both".into())),
            None if !has_filters => Err(CommandError::Input(
                "name a licence by its id or key, or several by a filter such as `--owner`".into(),
            )),
            None => set_all(&self.connection, verb, filters, self.dry_run),
        }
    }
}

/// Changes all licences that the filters find, portion by portion.
fn set_all(
    connection: &Connection,
    verb: &str,
    filters: Vec<(&'static str, Option<String>)>,
    dry_run: bool,
) -> Result<ExitCode, CommandError> {
    let api = connection.open()?;
    let bar = progress::items("licences");
    let (mut found, mut changed, mut revoked, mut propagated) = (0, Vec::new(), 0, true);
    let mut cursor = None;
    loop {
        let others = [("limit", Some("100".into())), ("dryRun", dry_run.then(|| "true".into())), ("cursor", cursor)];
        let parameters: Vec<_> = filters.iter().cloned().chain(others).collect();
        let mut report = api.post(query(path(&["licenses", verb]), &parameters), &json!({}))?.json()?;
        found += report["found"].as_u64().unwrap_or(0);
        revoked += report["revoked"].as_u64().unwrap_or(0);
        propagated &= report["propagated"] != false;
        if let Value::Array(licenses) = report["licenses"].take() {
            changed.extend(licenses);
        }
        bar.set_position(found);
        cursor = report["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    bar.finish_and_clear();
    if connection.json {
        let report = json!({ "found": found, "changed": changed.len(), "revoked": revoked, "licenses": changed, "dryRun": dry_run });
        print::json(report.to_string().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let done = match (verb, dry_run) {
        ("suspend", false) => "suspended",
        ("suspend", true) => "would be suspended",
        (_, false) => "resumed",
        (_, true) => "would be resumed",
    };
    writeln!(print::out(), "{found} found, {} {done}, {revoked} revoked (left unchanged)", changed.len())?;
    if !propagated {
        print::note_delay();
    }
    Ok(ExitCode::SUCCESS)
}
