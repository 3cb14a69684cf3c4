//! Verbs that change one licence by one request.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use countersign::key;
use countersign::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::api::path;
use super::body::{body, seconds};
use super::connection::Connection;
use super::licenses::Named;
use super::{CommandError, given_or_stdin, print};

/// `suspend`, `resume` and `revoke`. Doing one again changes nothing and is no error.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    license: Named,
    #[command(flatten)]
    connection: Connection,
}

/// Give a licence more time, from its end on, or from now if that is over
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Renew {
    #[command(flatten)]
    #[serde(skip)]
    license: Named,
    /// How much more: seconds, or a number with s, m, h or d [default: the policy's duration]
    #[arg(long = "duration", value_name = "DURATION", value_parser = seconds, conflicts_with = "expires_at")]
    duration_seconds: Option<u32>,
    /// Valid until then: RFC 3339 date, or date and time
    #[arg(long = "expires", value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    expires_at: Option<Timestamp>,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

/// Give a licence another key and print it: the old one is revoked, seats and usage stay
#[derive(Debug, Args)]
pub(super) struct RotateKey {
    #[command(flatten)]
    license: Named,
    /// Take this key instead of making one; `-` reads it from standard input
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Give a licence the terms of another policy of its product
#[derive(Debug, Args)]
pub(super) struct ChangePolicy {
    #[command(flatten)]
    license: Named,
    /// The policy: `pol_…`
    #[arg(value_name = "POLICY")]
    policy: String,
    #[command(flatten)]
    connection: Connection,
}

/// Delete a licence, for good: its key is told that it was revoked
#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    license: Named,
    #[command(flatten)]
    connection: Connection,
}

impl Change {
    pub(super) fn run(self, verb: &str) -> Result<ExitCode, CommandError> {
        change(self.license, &self.connection, verb, &json!({}))
    }
}

impl Renew {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let body = body(&self)?;
        change(self.license, &self.connection, "renew", &body)
    }
}

impl ChangePolicy {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        change(self.license, &self.connection, "change-policy", &json!({ "policy": self.policy }))
    }
}

impl RotateKey {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        if self.license.is_stdin() && self.key.as_deref() == Some("-") {
            return Err(CommandError::Input("standard input has one key: name the licence by its id".into()));
        }
        let new = self.key.map(given_or_stdin).transpose()?;
        if let Some(key) = &new {
            key::read(key).map_err(|error| CommandError::Input(format!("the new key {error}")))?;
        }
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        let body = new.map_or_else(|| json!({}), |key| json!({ "key": key }));
        let answer = api.post(path(&["licenses", &id, "rotate-key"]), &body)?;
        let license = answer.json()?;
        if let (Value::String(key), false) = (&license["key"], self.connection.json) {
            writeln!(print::out(), "{key}\n\nThis key is shown once and stored nowhere: keep it.\n")?;
        }
        print::changed(&answer, self.connection.json)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Delete {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        let answer = api.delete(path(&["licenses", &id]))?;
        print::done(&answer, &format!("{id} is deleted"), self.connection.json)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn change(license: Named, connection: &Connection, verb: &str, body: &Value) -> Result<ExitCode, CommandError> {
    let api = connection.open()?;
    let id = license.id(&api)?;
    print::changed(&api.post(path(&["licenses", &id, verb]), body)?, connection.json)?;
    Ok(ExitCode::SUCCESS)
}
