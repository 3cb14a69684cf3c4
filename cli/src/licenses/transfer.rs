use std::process::ExitCode;

use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::license_arg::LicenseArg;
use crate::output::print;

/// Move a seat of a licence to another machine, domain or user
///
/// The seat keeps its place and its lease. The old holder gets NOT_ACTIVATED, and the new one needs
/// no activation.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("seat").required(true).args(["activation", "domain", "user", "fingerprint"]),
    group = ArgGroup::new("holder").required(true).args(["to_domain", "to_user", "to_fingerprint"]),
)]
pub(crate) struct Transfer {
    #[command(flatten)]
    license: LicenseArg,
    /// The seat, as `activations` prints it: `act_…`
    #[arg(value_name = "ACTIVATION")]
    activation: Option<String>,
    /// The seat of this domain
    #[arg(long)]
    domain: Option<String>,
    /// The seat of this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The seat of the machine with this fingerprint, or with this part of one
    #[arg(long, value_name = "TEXT")]
    fingerprint: Option<String>,
    /// The domain that gets the seat
    #[arg(long, value_name = "DOMAIN")]
    to_domain: Option<String>,
    /// The user who gets the seat
    #[arg(long, value_name = "ID")]
    to_user: Option<String>,
    /// The fingerprint of the machine that gets the seat; repeat for each of its parts
    #[arg(long, value_name = "TEXT")]
    to_fingerprint: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Transfer {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let id = self.license.id(&api)?;
        let fingerprint = Some(self.to_fingerprint).filter(|parts| !parts.is_empty());
        let from = [
            ("activation", self.activation.map(Value::from)),
            ("domain", self.domain.map(Value::from)),
            ("user", self.user.map(Value::from)),
            ("fingerprint", self.fingerprint.map(Value::from)),
        ];
        let to = [
            ("domain", self.to_domain.map(Value::from)),
            ("user", self.to_user.map(Value::from)),
            ("fingerprint", fingerprint.map(Value::from)),
        ];
        let body = json!({ "from": object(from), "to": object(to) });
        let answer = api.post(path(&["licenses", &id, "activations", "transfer"]), &body)?;
        let seat = answer.json()?["activation"]["id"].take();
        print::done(
            &answer,
            &format!("the seat is moved; it is now {}", seat.as_str().unwrap_or("")),
            self.connection.json,
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
