use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign::key::Prefix;
use countersign::name::Product as Code;
use serde::Serialize;

use crate::api::path;
use crate::error::CommandError;
use crate::options::body::{as_object, body, patch};
use crate::options::connection::Connection;
use crate::options::paging::Paging;
use crate::options::values::pair;
use crate::output::pages::{self, Column};
use crate::output::print;
use crate::output::table::print_resource;
use crate::output::text::member;

#[derive(Debug, Subcommand)]
pub(crate) enum Product {
    Create(Create),
    /// List products
    List(List),
    /// Show a product
    Show(Named),
    Update(Update),
    /// Delete a product without policies and licences
    Delete(Named),
}

/// Create a product
#[derive(Debug, Args, Serialize)]
pub(crate) struct Create {
    /// The product's code: 1 to 64 characters from a-z, 0-9 and -
    code: Code,
    #[command(flatten)]
    #[serde(flatten)]
    fields: Fields,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

/// Change a product
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// The product's code
    code: Code,
    #[command(flatten)]
    fields: Fields,
    /// A field to clear, by its name in JSON, such as `name` or `metadata.team`; repeat for more
    #[arg(long, value_name = "FIELD")]
    unset: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The product's code
    code: Code,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    /// The name for people
    #[arg(long)]
    name: Option<String>,
    /// The prefix of its keys: 2 to 8 characters from A-Z and 0-9, a letter first [default: from
    /// the code]
    #[arg(long = "prefix", value_name = "PREFIX")]
    key_prefix: Option<Prefix>,
    /// Data of your own, such as `team=editors`; repeat for more
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = pair)]
    #[serde(serialize_with = "as_object")]
    metadata: Vec<(String, String)>,
}

const COLUMNS: [Column; 4] = [
    ("CODE", |product| member(product, "code")),
    ("NAME", |product| member(product, "name")),
    ("KEYS", |product| product["keyPrefix"].as_str().map_or_else(String::new, |prefix| format!("{prefix}-…"))),
    ("CREATED", |product| member(product, "createdAt")),
];

impl Product {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::Create(create) => {
                let body = body(&create)?;
                let answer = create.connection.create()?.post(path(&["products"]), &body)?;
                print_resource(&answer, create.connection.json)?;
            }
            Self::List(List { paging, connection }) => {
                pages::list(&connection.open()?, &path(&["products"]), vec![], paging, connection.json, &COLUMNS)?;
            }
            Self::Show(Named { code, connection }) => {
                let answer = connection.open()?.get(path(&["products", code.as_str()]))?;
                print_resource(&answer, connection.json)?;
            }
            Self::Update(Update { code, fields, unset, connection }) => {
                let changes = patch(&fields, &unset)?;
                let answer = connection.open()?.patch(path(&["products", code.as_str()]), &changes)?;
                print_resource(&answer, connection.json)?;
            }
            Self::Delete(Named { code, connection }) => {
                let answer = connection.open()?.delete(path(&["products", code.as_str()]))?;
                print::done(&answer, &format!("{code} is deleted"), connection.json)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
