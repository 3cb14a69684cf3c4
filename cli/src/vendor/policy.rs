use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign::name::Product;
use serde::Serialize;

use crate::api::path;
use crate::error::CommandError;
use crate::options::body::{body, patch};
use crate::options::connection::Connection;
use crate::options::paging::Paging;
use crate::options::terms::Terms;
use crate::output::license::duration;
use crate::output::pages::{self, Column};
use crate::output::print;
use crate::output::table::print_resource;
use crate::output::text::member;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    Create(Box<Create>),
    /// List policies
    List(List),
    /// Show a policy
    Show(Named),
    Update(Box<Update>),
    /// Delete a policy without licences
    Delete(Named),
}

/// Create a policy
#[derive(Debug, Args, Serialize)]
pub(crate) struct Create {
    /// The name for people
    name: String,
    /// The product that it licenses
    #[arg(long)]
    product: Product,
    /// The id of a policy from another installation, `pol_…`, so that its licences can be imported
    /// [default: generated]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    terms: Terms,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

/// Change a policy; licences already issued keep their terms
#[derive(Debug, Args, Serialize)]
pub(crate) struct Update {
    /// The policy: `pol_…`
    #[serde(skip)]
    id: String,
    /// The name for people
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    terms: Terms,
    /// A field to clear, by its name in JSON, such as `versions` or `activation.leaseSeconds`;
    /// repeat for more
    #[arg(long, value_name = "FIELD", help_heading = None::<&str>)]
    #[serde(skip)]
    unset: Vec<String>,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only policies of this product
    #[arg(long)]
    product: Option<Product>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The policy: `pol_…`
    id: String,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: [Column; 6] = [
    ("ID", |policy| member(policy, "id")),
    ("PRODUCT", |policy| member(policy, "product")),
    ("NAME", |policy| member(policy, "name")),
    ("PLAN", |policy| member(policy, "plan")),
    ("LASTS", |policy| duration(policy)),
    ("FEATURES", |policy| member(policy, "features")),
];

impl Policy {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::Create(mut create) => {
                create.terms = create.terms.complete()?;
                let body = body(&create)?;
                let answer = create.connection.create()?.post(path(&["policies"]), &body)?;
                print_resource(&answer, create.connection.json)?;
            }
            Self::List(List { product, paging, connection }) => {
                let filters = vec![("product", product.map(|product| product.to_string()))];
                pages::list(&connection.open()?, &path(&["policies"]), filters, paging, connection.json, &COLUMNS)?;
            }
            Self::Show(Named { id, connection }) => {
                print_resource(&connection.open()?.get(path(&["policies", &id]))?, connection.json)?;
            }
            Self::Update(update) => {
                let changes = patch(&update, &update.unset)?;
                let answer = update.connection.open()?.patch(path(&["policies", &update.id]), &changes)?;
                print_resource(&answer, update.connection.json)?;
            }
            Self::Delete(Named { id, connection }) => {
                let answer = connection.open()?.delete(path(&["policies", &id]))?;
                print::done(&answer, &format!("{id} is deleted"), connection.json)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
