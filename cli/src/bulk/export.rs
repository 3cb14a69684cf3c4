use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::limits::API_BULK_PAGE;
use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use countersign_host::imports::store::Reader;
use indicatif::ProgressBar;
use serde_json::Value;

use crate::api::{Answer, path, percent_encode, query};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::options::filters::Filters;
use crate::output::print;
use crate::output::progress;

/// Export licences for `import` or for another host's store
///
/// ndjson, csv: all fields of each licence, with the hash of its key in place of
/// the key. `import` reads them. In csv a cell that a spreadsheet would compute
/// begins with an apostrophe, which `import` removes. Keep them as you would keep
/// the keys: the hash of a short key that you imported is as good as the key.
///
/// The other formats copy the store of a data directory to another host:
///
/// fastly: a JSON file for Viceroy's `[local_server.kv_stores.NAME]` with
/// `format = "json"`.
///
/// spin: arguments for `spin up`, one a line, that fill its default key-value
/// store with about 300 licences (`xargs -s 1900000` passes more on Linux):
///   countersign export --data DIR --format spin |
///     tr '\n' '\0' | xargs -0 -x spin up
///
/// spin-sqlite: statements that fill Spin's default SQLite database:
///   countersign export --data DIR --format spin-sqlite --output licences.sql
///   spin up --sqlite @licences.sql
///
/// wasmtime: arguments for `wasmtime serve -Scli -Skeyvalue`, one a line. Records
/// are percent-encoded, because wasmtime splits arguments at commas.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Export {
    /// The output format
    #[arg(long, default_value = "ndjson")]
    format: Format,
    /// Begin CSV with a byte order mark, which Excel needs for other letters than A to Z
    #[arg(long)]
    bom: bool,
    /// Also export the state of each licence: seats, usage and when its time began
    #[arg(long)]
    state: bool,
    /// Write to this file (mode 0600) instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Ndjson,
    Csv,
    Fastly,
    Spin,
    SpinSqlite,
    Wasmtime,
}

/// The form in which a host's own tools read the entries of a store.
struct Shape {
    begin: &'static str,
    between: &'static str,
    /// A licence's key in the store and its record.
    entry: fn(&str, &str) -> String,
    end: &'static str,
}

const FASTLY: Shape = Shape {
    begin: "{",
    between: ",",
    entry: |key, record| format!("\n  \"{key}\": {}", Value::from(record)),
    end: "\n}\n",
};

const SPIN: Shape =
    Shape { begin: "", between: "", entry: |key, record| format!("--key-value={key}={record}\n"), end: "" };

const SPIN_SQLITE: Shape = Shape {
    // As the adapter over Spin's SQLite creates it.
    begin: include_str!("../../../components/adapters/spin/sqlite/table.sql"),
    between: "",
    entry: |key, record| {
        // The quote is the only special character in an SQL literal.
        let literal = record.replace('\'', "''");
        format!(
            "INSERT INTO countersign_store (key, value, version) VALUES ('{key}', CAST('{literal}' AS BLOB), random()) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version;\n"
        )
    },
    end: "",
};

const WASMTIME: Shape = Shape {
    begin: "",
    between: "",
    entry: |key, record| format!("-Skeyvalue-in-memory-data={key}={}\n", percent_encode(record)),
    end: "",
};

impl Export {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        match self.format {
            Format::Ndjson => self.pages("ndjson")?,
            Format::Csv => self.pages("csv")?,
            Format::Fastly => self.store(&FASTLY)?,
            Format::Spin => self.store(&SPIN)?,
            Format::SpinSqlite => self.store(&SPIN_SQLITE)?,
            Format::Wasmtime => self.store(&WASMTIME)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Writes the API's export, page by page.
    fn pages(&self, format: &str) -> Result<(), CommandError> {
        if self.bom && format != "csv" {
            return Err(CommandError::Input("`--bom` is for csv".into()));
        }
        let api = self.connection.open()?;
        let mut out = self.out()?;
        // Progress would mix with lines on the same terminal.
        let bar = if self.output.is_some() { progress::items("licences") } else { ProgressBar::hidden() };
        let mut parameters = self.filters.parameters();
        parameters.push(("format", Some(format.to_owned())));
        parameters.push(("limit", Some(API_BULK_PAGE.to_string())));
        parameters.push(("state", self.state.then(|| "true".to_owned())));
        if self.bom {
            out.write_all("\u{feff}".as_bytes())?;
        }
        let first = query(path(&["licenses", "export"]), &parameters);
        let mut next = Some(first.clone());
        while let Some(page) = next {
            let answer = api.get(page)?;
            let mut lines = answer.bytes();
            if format == "csv" && bar.position() > 0 {
                // Each page begins with the column names; only the first may.
                lines = lines.split_at(lines.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1)).1;
            }
            out.write_all(lines)?;
            bar.inc(lines.iter().filter(|&&byte| byte == b'\n').count() as u64);
            next = next_cursor(&answer)?.map(|cursor| format!("{first}&cursor={cursor}"));
        }
        bar.finish_and_clear();
        Ok(out.flush()?)
    }

    /// Writes the store of a data directory in the form of another host.
    fn store(&self, shape: &Shape) -> Result<(), CommandError> {
        let is_given = |(_, value): &(_, Option<String>)| value.is_some();
        if self.state || self.bom || self.filters.parameters().iter().any(is_given) {
            return Err(CommandError::Input(
                "this format exports the whole store; filters and `--state` are for ndjson and csv, `--bom` for csv"
                    .into(),
            ));
        }
        let reader = Reader::open(&self.connection.data_directory()?)?;
        let mut out = self.out()?;
        out.write_all(shape.begin.as_bytes())?;
        let mut separator = "";
        reader.for_each(|key, license| {
            let entry = (shape.entry)(key, &license.to_json());
            write!(out, "{separator}{entry}")?;
            separator = shape.between;
            Ok::<_, CommandError>(())
        })?;
        out.write_all(shape.end.as_bytes())?;
        Ok(out.flush()?)
    }

    fn out(&self) -> Result<BufWriter<Box<dyn Write>>, CommandError> {
        Ok(BufWriter::new(match &self.output {
            Some(path) => Box::new(create(path)?),
            None => Box::new(print::out()),
        }))
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).with_context(|| format!("cannot write {}", path.display()))
}

/// The cursor of the next page, percent-encoded, from the answer's `Link` header (RFC 8288).
fn next_cursor(answer: &Answer) -> anyhow::Result<Option<&str>> {
    let Some(link) = answer.header("link").filter(|link| link.contains("rel=\"next\"")) else { return Ok(None) };
    let target = link.split_once('>').map_or(link, |(target, _)| target);
    let cursor = target.split(['?', '&']).find_map(|parameter| parameter.strip_prefix("cursor="));
    cursor.map(Some).ok_or_else(|| anyhow!("the server announced a next page without its cursor"))
}
