use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign::name::Product;
use serde_json::json;

use crate::api::path;
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::paging::Paging;
use crate::output::pages::{self, Column};
use crate::output::print;
use crate::output::text::member;

#[derive(Debug, Subcommand)]
pub(crate) enum EdgeCommand {
    Add(Add),
    /// List edges: when each last asked for changes, and how many it does not know of yet
    List(List),
    Remove(Remove),
}

/// Add an edge and print its token
///
/// An edge serves the licences of this Countersign near their users, also while this one is out of
/// reach. Start it with `countersign serve --origin URL` and the token. The token can read the
/// record of a licence whose key is known, follow the changes of licences, and write seats and
/// usage; nothing else. It is shown once; only its hash is stored.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What to call it, such as its place
    name: String,
    /// Serve the licences of this product only; repeat for more [default: all products]
    #[arg(long = "product", value_name = "PRODUCT")]
    products: Vec<Product>,
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

/// Remove an edge: its token is no longer valid
///
/// The edge goes on with what it has until that is too old (`stale_seconds`, a week unless set
/// otherwise); stop it, and delete its data directory.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The edge's id: `tok_…`
    id: String,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: [Column; 6] = [
    ("ID", |edge| member(edge, "id")),
    ("NAME", |edge| member(edge, "name")),
    ("PRODUCTS", |edge| member(edge, "products")),
    ("ADDED", |edge| member(edge, "createdAt")),
    ("LAST CONTACT", |edge| member(edge, "lastContactAt")),
    ("EVENTS BEHIND", |edge| member(edge, "eventsBehind")),
];

impl EdgeCommand {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::Add(Add { name, products, connection }) => {
                let mut body = json!({ "name": name, "role": "edge" });
                if !products.is_empty() {
                    body["products"] = json!(products);
                }
                let answer = connection.create()?.post(path(&["tokens"]), &body)?;
                if connection.json {
                    print::json(answer.bytes())?;
                } else {
                    let token = member(&answer.json()?, "token");
                    writeln!(
                        print::out(),
                        "{token}\n\nKeep this token: it is shown once and stored nowhere. On the edge, set\n\
                         COUNTERSIGN_ORIGIN_TOKEN to it, and run `countersign serve --data DIR --origin URL`."
                    )?;
                }
            }
            Self::List(List { paging, connection }) => {
                pages::list(&connection.open()?, &path(&["edges"]), vec![], paging, connection.json, &COLUMNS)?;
            }
            Self::Remove(Remove { id, connection }) => {
                let answer = connection.open()?.delete(path(&["tokens", &id]))?;
                print::done(&answer, &format!("{id} is removed"), connection.json)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
