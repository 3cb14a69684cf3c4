use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use countersign::name::Product;
use countersign::time::Timestamp;
use serde::Serialize;

use crate::api::path;
use crate::error::CommandError;
use crate::options::body::body;
use crate::options::connection::Connection;
use crate::output::pages::{self, Column, Paging};
use crate::output::print;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    Create(Create),
    /// List tokens: whose they are and when they were last used, never the tokens themselves
    List(List),
    /// Revoke a token; doing it again changes nothing
    Revoke(Revoke),
}

/// Make a token and print it; it is stored nowhere
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    /// Whose it is, or what for
    name: String,
    /// What it may do
    #[arg(long)]
    role: Role,
    /// Good until then: RFC 3339 date, or date and time
    #[arg(long = "expires", value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    expires_at: Option<Timestamp>,
    /// A product it is for; repeat for more, none is for all
    #[arg(long = "product", value_name = "PRODUCT")]
    products: Vec<Product>,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

/// Each may do what those after it may.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    /// Everything
    Admin,
    /// Issue licences, and change them as a whole
    Issuer,
    /// Suspend and resume licences, change their domains, owner and metadata
    Support,
    /// Read
    Reader,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The token's id: `tok_…`
    id: String,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: [Column; 7] = [
    ("ID", |token| print::text(token, "id")),
    ("NAME", |token| print::text(token, "name")),
    ("ROLE", |token| print::text(token, "role")),
    ("PRODUCTS", |token| print::text(token, "products")),
    ("EXPIRES", |token| print::text(token, "expiresAt")),
    ("LAST USED", |token| print::text(token, "lastUsedAt")),
    ("REVOKED", |token| print::text(token, "revokedAt")),
];

impl TokenCommand {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::Create(create) => {
                let body = body(&create)?;
                let answer = create.connection.create()?.post(path(&["tokens"]), &body)?;
                if create.connection.json {
                    print::json(answer.bytes())?;
                } else {
                    let token = print::text(&answer.json()?, "token");
                    writeln!(print::out(), "{token}\n\nThis token is shown once and stored nowhere: keep it.")?;
                }
            }
            Self::List(List { paging, connection }) => {
                pages::list(&connection.open()?, &path(&["tokens"]), vec![], paging, connection.json, &COLUMNS)?;
            }
            Self::Revoke(Revoke { id, connection }) => {
                let answer = connection.open()?.delete(path(&["tokens", &id]))?;
                print::done(&answer, &format!("{id} is revoked"), connection.json)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
