use std::io::Write;
use std::process::ExitCode;

use clap::{Args, value_parser};
use countersign::domain::DomainRule;
use countersign::key::Prefix;
use countersign::name::{Label, Product};
use countersign::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{Answer, Api, path};
use crate::error::CommandError;
use crate::input::given_or_stdin;
use crate::options::body::{as_object, body};
use crate::options::connection::Connection;
use crate::options::terms::Terms;
use crate::options::values::pair;
use crate::options::values::registrable;
use crate::output::license::print_license;
use crate::output::print;
use crate::output::text::member;

/// Issue a licence and print its key
///
/// The key is shown once and stored nowhere. With `--policy`, the licence has the policy's terms,
/// and options override single terms. Without one, the options are its terms, and a product that
/// does not exist is created.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issue {
    /// The product's code: 1 to 64 characters from a-z, 0-9 and -
    #[arg(long, required_unless_present = "policy")]
    product: Option<Product>,
    /// Issue from this policy: `pol_…`
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
    /// Issue this many licences, 1 to 100, and print their keys
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u8).range(1..=100), conflicts_with = "key")]
    count: Option<u8>,
    /// A domain the licence covers: `example.com` with its subdomains, `*.example.com` only the
    /// subdomains; repeat for more [default: any domain]
    #[arg(long = "domain", value_name = "DOMAIN", value_parser = registrable)]
    domains: Vec<DomainRule>,
    /// Not valid before this date, or date and time (RFC 3339). A date is in UTC, or as
    /// `2027-01-31+02:00` says
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_start)]
    not_before: Option<Timestamp>,
    /// Expires after this date, or at this date and time (RFC 3339). A date is in UTC, or as
    /// `2027-01-31+02:00` says
    #[arg(long = "expires", value_name = "TIME", value_parser = Timestamp::parse_end, conflicts_with = "duration")]
    expires_at: Option<Timestamp>,
    /// A feature besides those of the policy, where `--feature` replaces them; repeat for more
    #[arg(long = "add-feature", value_name = "NAME", conflicts_with = "features")]
    add_features: Vec<Label>,
    /// The customer, under your own name or id for them
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Data of your own, such as `order=1234`; repeat for more
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = pair)]
    #[serde(serialize_with = "as_object")]
    metadata: Vec<(String, String)>,
    /// The key's prefix: 2 to 8 characters from A-Z and 0-9, a letter first [default: the
    /// product's]
    #[arg(long = "prefix", value_name = "PREFIX")]
    key_prefix: Option<Prefix>,
    /// Use this existing key instead of generating one; `-` reads it from standard input
    #[arg(long, value_name = "KEY", conflicts_with = "key_prefix")]
    key: Option<String>,
    /// Use the existing key even if it is easy to guess
    #[arg(long, requires = "key")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_weak_keys: bool,
    #[command(flatten)]
    #[serde(flatten)]
    terms: Terms,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

impl Issue {
    pub(crate) fn run(mut self) -> Result<ExitCode, CommandError> {
        if self.policy.is_none() {
            self.terms = self.terms.complete()?;
        }
        self.key = self.key.map(given_or_stdin).transpose()?;
        if let Some(key) = &self.key {
            countersign::key::read(key).map_err(|error| CommandError::Input(format!("the key {error}")))?;
        }
        let route = if self.count.is_some() { path(&["licenses", "batch"]) } else { path(&["licenses"]) };
        let body = body(&self)?;
        let api = self.connection.create()?;
        let answer = match api.post(route.clone(), &body) {
            Err(error) if self.policy.is_none() && error.is_about(422, "product") => {
                self.create_product(&api)?;
                api.post(route, &body)?
            }
            outcome => outcome?,
        };
        self.print(&answer)?;
        Ok(ExitCode::SUCCESS)
    }

    fn create_product(&self, api: &Api) -> Result<(), CommandError> {
        let Some(product) = &self.product else { return Ok(()) };
        match api.post(path(&["products"]), &json!({ "code": product })) {
            Ok(_) => print::note(format_args!("created product {product}")),
            // Another command has created it in the meantime.
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn print(&self, answer: &Answer) -> Result<(), CommandError> {
        if self.connection.json {
            return print::json(answer.bytes());
        }
        let issued = answer.json()?;
        let mut out = print::out();
        if let Some(licenses) = issued["items"].as_array() {
            for license in licenses {
                writeln!(out, "{}  {}", member(license, "id"), member(license, "key"))?;
            }
            licenses.first().into_iter().for_each(print::note_warnings);
            return Ok(writeln!(out, "\nKeep these keys: they are shown once and stored nowhere.")?);
        }
        if let Value::String(key) = &issued["key"] {
            writeln!(out, "{key}\n\nKeep this key: it is shown once and stored nowhere.\n")?;
        }
        drop(out);
        print_license(&issued, None)?;
        print::note_warnings(&issued);
        print::note_propagation(&issued);
        Ok(())
    }
}
