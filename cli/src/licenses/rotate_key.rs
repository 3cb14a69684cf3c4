use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use countersign::key;
use serde_json::{Value, json};

use crate::api::path;
use crate::error::CommandError;
use crate::input::given_or_stdin;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::output::license::print_changed;
use crate::output::print;

/// Replace a licence's key and print the new one
///
/// The old key is revoked. Seats and usage stay.
#[derive(Debug, Args)]
pub(crate) struct RotateKey {
    #[command(flatten)]
    license: LicenseArg,
    /// Use this existing key instead of generating one; `-` reads it from standard input
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Use the existing key even if it is easy to guess
    #[arg(long, requires = "key")]
    allow_weak_keys: bool,
    #[command(flatten)]
    connection: Connection,
}

impl RotateKey {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        if self.license.is_stdin() && self.key.as_deref() == Some("-") {
            return Err(CommandError::Input(
                "`-` can be given once, as standard input has one key; name the licence by its id".into(),
            ));
        }
        let new = self.key.map(given_or_stdin).transpose()?;
        if let Some(key) = &new {
            key::read(key).map_err(|error| CommandError::Input(format!("the new key {error}")))?;
        }
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        let mut body = new.map_or_else(|| json!({}), |key| json!({ "key": key }));
        if self.allow_weak_keys {
            body["allowWeakKeys"] = true.into();
        }
        let answer = api.post(path(&["licenses", &id, "rotate-key"]), &body)?;
        let license = answer.json()?;
        if let (Value::String(key), false) = (&license["key"], self.connection.json) {
            writeln!(print::out(), "{key}\n\nKeep this key: it is shown once and stored nowhere.\n")?;
        }
        print_changed(&answer, self.connection.json)?;
        Ok(ExitCode::SUCCESS)
    }
}
