//! Commands on licences, one a file.

pub(crate) mod activations;
pub(crate) mod change_policy;
pub(crate) mod delete;
pub(crate) mod domains;
pub(crate) mod issue;
pub(crate) mod list;
pub(crate) mod release;
pub(crate) mod renew;
pub(crate) mod rotate_key;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod transfer;
pub(crate) mod update;
pub(crate) mod usage;

use std::process::ExitCode;

use serde_json::Value;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::output::license::print_changed;

/// Posts `body` to the licence's `verb` and prints the licence afterwards.
fn change(license: LicenseArg, connection: &Connection, verb: &str, body: &Value) -> Result<ExitCode, CommandError> {
    let api = connection.open()?;
    let id = license.id(&api)?;
    print_changed(&api.post(path(&["licenses", &id, verb]), body)?, connection.json)?;
    Ok(ExitCode::SUCCESS)
}
