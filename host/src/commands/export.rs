use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use countersign_host::registry::Registry;

use super::CommandError;

/// Write all licences for another host's local store
///
/// fastly: a JSON file for Viceroy's `[local_server.kv_stores.NAME]` with `format = "json"`.
///
/// spin: arguments, one a line, that set `spin up`'s default key-value store:
/// `countersign export --data DIR --format spin | tr '\n' '\0' | xargs -0 -x spin up`
/// (some 300 licences; `-s 1900000` makes room for more on Linux).
///
/// spin-sqlite: statements for `spin up`'s default SQLite database:
/// `countersign export --data DIR --format spin-sqlite --output licences.sql && spin up --sqlite @licences.sql`
///
/// wasmtime: arguments, one a line, for `wasmtime serve -Scli -Skeyvalue`. wasmtime splits them at commas, so records are
/// percent-encoded.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Export {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// For which host
    #[arg(long)]
    format: Format,
    /// Write to this file (mode 0600) instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Fastly,
    Spin,
    SpinSqlite,
    Wasmtime,
}

impl Export {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let registry = Registry::open(&self.data)?;
        let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match &self.output {
            Some(path) => Box::new(
                OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(path)
                    .with_context(|| format!("cannot write {}", path.display()))?,
            ),
            None => Box::new(io::stdout()),
        });
        if let Format::SpinSqlite = self.format {
            out.write_all(SPIN_SQLITE_TABLE.as_bytes())?;
        }
        let mut count = 0_u64;
        registry.for_each(|key, license| {
            let record = String::from_utf8_lossy(&license.to_json()).into_owned();
            match self.format {
                Format::Fastly => {
                    let separator = if count == 0 { "{" } else { "," };
                    write!(out, "{separator}\n  \"{key}\": {}", serde_json::Value::String(record))?;
                }
                Format::Spin => writeln!(out, "--key-value={key}={record}")?,
                Format::SpinSqlite => writeln!(
                    out,
                    "INSERT INTO countersign_store (key, value, version) VALUES ('{key}', CAST({} AS BLOB), random()) \
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version;",
                    sql_text(&record)
                )?,
                Format::Wasmtime => writeln!(out, "-Skeyvalue-in-memory-data={key}={}", percent_encode(&record))?,
            }
            count += 1;
            Ok::<_, CommandError>(())
        })?;
        if let Format::Fastly = self.format {
            out.write_all(if count == 0 { b"{}\n" } else { b"\n}\n" })?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// As the adapter over Spin's SQLite makes it.
const SPIN_SQLITE_TABLE: &str = include_str!("../../../components/stores/spin-sqlite/table.sql");

/// A string literal of SQL: its one special character is the quote.
fn sql_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// RFC 3986, section 2.1: every byte that is not unreserved (section 2.3).
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(2 * text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
