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
use crate::options::paging::Paging;
use crate::output::pages::{self, Column};
use crate::output::print;
use crate::output::text::member;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    Create(Create),
    /// List tokens: names, roles and last use, never the tokens themselves
    List(List),
    /// Revoke a token; this may be repeated
    Revoke(Revoke),
}

/// Create a token and print it
///
/// The token is shown once; only its hash is stored.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Create {
    /// Who or what uses the token
    name: String,
    /// What the token allows
    #[arg(long)]
    role: Role,
    /// Expires after this date, or at this date and time (RFC 3339) [default: never]
    #[arg(long = "expires", value_name = "TIME", value_parser = Timestamp::parse_end)]
    expires_at: Option<Timestamp>,
    /// Allow only this product; repeat for more [default: all products]
    #[arg(long = "product", value_name = "PRODUCT")]
    products: Vec<Product>,
    #[command(flatten)]
    #[serde(skip)]
    connection: Connection,
}

/// Each role includes those after it.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    /// Everything
    Admin,
    /// Issue licences and change them in every way
    Issuer,
    /// Suspend and resume licences, and change their domains, owner and metadata
    Support,
    /// Read only
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
    ("ID", |token| member(token, "id")),
    ("NAME", |token| member(token, "name")),
    ("ROLE", |token| member(token, "role")),
    ("PRODUCTS", |token| member(token, "products")),
    ("EXPIRES", |token| member(token, "expiresAt")),
    ("LAST USED", |token| member(token, "lastUsedAt")),
    ("REVOKED", |token| member(token, "revokedAt")),
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
                    let token = member(&answer.json()?, "token");
                    writeln!(print::out(), "{token}\n\nKeep this token: it is shown once and stored nowhere.")?;
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
