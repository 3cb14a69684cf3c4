use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign::name::Product;
use serde::Serialize;

use crate::api::path;
use crate::error::CommandError;
use crate::options::body::{body, patch};
use crate::options::connection::Connection;
use crate::options::terms::Terms;
use crate::output::pages::{self, Column, Paging};
use crate::output::print;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    Create(Box<Create>),
    /// List policies
    List(List),
    /// Show a policy
    Show(Named),
    Update(Box<Update>),
    /// Delete a policy that no licence has
    Delete(Named),
}

/// Make a policy
#[derive(Debug, Args, Serialize)]
pub(crate) struct Create {
    /// What people call it
    name: String,
    /// The product it is for
    #[arg(long)]
    product: Product,
    /// What it is called, `pol_…`, where it moves here from another Countersign with its licences [default: drawn]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    terms: Terms,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

/// Change a policy; licences that were issued from it keep their terms
#[derive(Debug, Args, Serialize)]
pub(crate) struct Update {
    /// The policy: `pol_…`
    #[serde(skip)]
    id: String,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    terms: Terms,
    /// A field to take away, as JSON calls it: `versions`, `activation.leaseSeconds`; repeat for more
    #[arg(long, value_name = "FIELD")]
    #[serde(skip)]
    unset: Vec<String>,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Those of this product
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
    ("ID", |policy| print::text(policy, "id")),
    ("PRODUCT", |policy| print::text(policy, "product")),
    ("NAME", |policy| print::text(policy, "name")),
    ("PLAN", |policy| print::text(policy, "plan")),
    ("LASTS", |policy| print::duration(policy)),
    ("FEATURES", |policy| print::text(policy, "features")),
];

impl Policy {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::Create(mut create) => {
                create.terms = create.terms.complete()?;
                let body = body(&create)?;
                let answer = create.connection.create()?.post(path(&["policies"]), &body)?;
                print::resource(&answer, create.connection.json)?;
            }
            Self::List(List { product, paging, connection }) => {
                let filters = vec![("product", product.map(|product| product.to_string()))];
                pages::list(&connection.open()?, &path(&["policies"]), filters, paging, connection.json, &COLUMNS)?;
            }
            Self::Show(Named { id, connection }) => {
                print::resource(&connection.open()?.get(path(&["policies", &id]))?, connection.json)?;
            }
            Self::Update(update) => {
                let changes = patch(&update, &update.unset)?;
                let answer = update.connection.open()?.patch(path(&["policies", &update.id]), &changes)?;
                print::resource(&answer, update.connection.json)?;
            }
            Self::Delete(Named { id, connection }) => {
                let answer = connection.open()?.delete(path(&["policies", &id]))?;
                print::done(&answer, &format!("{id} is deleted"), connection.json)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
