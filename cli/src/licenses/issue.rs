use std::io::Write;
use std::process::ExitCode;

use clap::{Args, value_parser};
use countersign::domain::DomainRule;
use countersign::key::Prefix;
use countersign::name::Product;
use countersign::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{Answer, Api, path};
use crate::error::CommandError;
use crate::input::given_or_stdin;
use crate::options::body::{as_object, body, pair};
use crate::options::connection::Connection;
use crate::options::domain::registrable;
use crate::options::terms::Terms;
use crate::output::print;

/// Issue a licence and print its key, which is stored nowhere
///
/// From a policy with `--policy`, whose terms are the licence's unless options say otherwise; without one the options are all its terms, and
/// the product is made if there is none of that name.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issue {
    /// What is licensed: 1 to 64 characters from a-z, 0-9 and -
    #[arg(long, required_unless_present = "policy")]
    product: Option<Product>,
    /// The policy it is issued from: `pol_…`
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
    /// Issue so many, each with a key of its own: 1 to 100
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u8).range(1..=100), conflicts_with = "key")]
    count: Option<u8>,
    /// A domain it covers with all below it, or `*.example.com` for those below alone; repeat for more, none covers all
    #[arg(long = "domain", value_name = "DOMAIN", value_parser = registrable)]
    domains: Vec<DomainRule>,
    /// Valid from then on: RFC 3339 date, or date and time
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    not_before: Option<Timestamp>,
    /// Valid until then: RFC 3339 date, or date and time
    #[arg(long = "expires", value_name = "TIME", value_parser = Timestamp::parse_date_or_time, conflicts_with = "duration_seconds")]
    expires_at: Option<Timestamp>,
    /// Whose it is: what you call your customer
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Something to keep with it: `order=1234`; repeat for more
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = pair)]
    #[serde(serialize_with = "as_object")]
    metadata: Vec<(String, String)>,
    /// What the key begins with: 2 to 8 characters from A-Z and 0-9, a letter first [default: the product's]
    #[arg(long = "prefix", value_name = "PREFIX")]
    key_prefix: Option<Prefix>,
    /// Take this key, issued elsewhere, instead of making one, or `-` for standard input; how hard it is to guess is then not ours to say
    #[arg(long, value_name = "KEY", conflicts_with = "key_prefix")]
    key: Option<String>,
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
                self.make_product(&api)?;
                api.post(route, &body)?
            }
            outcome => outcome?,
        };
        self.print(&answer)?;
        Ok(ExitCode::SUCCESS)
    }

    fn make_product(&self, api: &Api) -> Result<(), CommandError> {
        let Some(product) = &self.product else { return Ok(()) };
        match api.post(path(&["products"]), &json!({ "code": product })) {
            Ok(_) => print::note(format_args!("made the product {product}")),
            // Another was faster.
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
                writeln!(out, "{}  {}", print::text(license, "id"), print::text(license, "key"))?;
            }
            return Ok(writeln!(out, "\nThese keys are shown once and stored nowhere: keep them.")?);
        }
        if let Value::String(key) = &issued["key"] {
            writeln!(out, "{key}\n\nThis key is shown once and stored nowhere: keep it.\n")?;
        }
        drop(out);
        print::license(&issued, None)?;
        print::note_propagation(&issued);
        Ok(())
    }
}
