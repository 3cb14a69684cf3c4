//! `import`: sends a file of licences in as many requests as needed.

mod chunks;
mod report;

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use countersign_bulk::Format;
use countersign_bulk::lines::OpenError;

use crate::api::{Api, Request, path, query};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::output::progress;
use chunks::{Chunk, Chunks};
use report::{Answer, Report};

/// Import licences from `export` or another system
///
/// CSV begins with a line of column names; NDJSON has a JSON object on each line. The names are
/// those that `export` writes: `product`, `policy`, `plan` and the other terms, `domains`, `owner`
/// and so on. `key` is an existing key, `keyHash` its SHA-256 instead. Many names of other systems
/// are known, such as `License Key`, `email` and `expires_at`.
///
/// Commas, semicolons or tabs may separate cells. A line that is wrong is reported with its number
/// and not imported; it harms no other. At the end each line of the file is accounted for.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file to import; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file's format [default: as the file's name ends, or else as its text begins]
    #[arg(long)]
    format: Option<FormatArg>,
    /// Check all lines and import none
    #[arg(long)]
    dry_run: bool,
    /// Generate keys for lines without one, and write them to this new file (mode 0600, ndjson)
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Import keys even if they are easy to guess
    #[arg(long)]
    allow_weak_keys: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
enum FormatArg {
    Ndjson,
    Csv,
}

impl Import {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let (input, bar): (Box<dyn Read>, _) = if self.file.as_os_str() == "-" {
            (Box::new(io::stdin().lock()), progress::items("lines"))
        } else {
            let file = File::open(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
            let bar = progress::bytes(file.metadata()?.len());
            (Box::new(bar.wrap_read(file)), bar)
        };
        let mut chunks = Chunks::open(input, self.format()).map_err(|error| match error {
            OpenError::File(error) => CommandError::Input(error.to_string()),
            OpenError::Io(error) => error.into(),
        })?;
        let api = self.connection.open()?;
        let keys = self.keys.as_deref().map(|path| create(path, self.dry_run)).transpose()?;
        let mut report = Report::new(keys.flatten(), self.dry_run, bar.clone());
        report.add_head(chunks.head_lines());
        // One after the other: of two lines with the same key the first is imported.
        while let Some(chunk) = chunks.next()? {
            let mut waiting = vec![chunk];
            while let Some(chunk) = waiting.pop() {
                let answer =
                    if chunk.body.is_empty() { Ok(None) } else { self.send(&api, chunks.format(), &chunk).map(Some) };
                // Lines with a policy of many terms write more than they say.
                if matches!(&answer, Err(CommandError::Api(error)) if error.is_too_large())
                    && let Some([first, second]) = chunk.split()
                {
                    waiting.extend([second, first]);
                    continue;
                }
                if let Err(error) = answer.and_then(|answer| report.add(&chunk, answer)) {
                    report.stop(&chunk, &error);
                    return Err(error);
                }
            }
        }
        report.deliver(&api)?;
        bar.finish_and_clear();
        report.finish(chunks.counted(), self.connection.json)
    }

    fn format(&self) -> Option<Format> {
        let named = |extension: &str| match extension.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Some(Format::Csv),
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            _ => None,
        };
        match self.format {
            Some(FormatArg::Csv) => Some(Format::Csv),
            Some(FormatArg::Ndjson) => Some(Format::Ndjson),
            None => self.file.extension()?.to_str().and_then(named),
        }
    }

    fn send(&self, api: &Api, format: Format, chunk: &Chunk) -> Result<Answer, CommandError> {
        let when = |flag: bool| flag.then(|| "true".to_owned());
        let parameters = [
            ("firstLine", Some(chunk.first_line.to_string())),
            ("dryRun", when(self.dry_run)),
            // Nobody would see the keys.
            ("requireKeys", when(self.keys.is_none())),
            ("allowWeakKeys", when(self.allow_weak_keys)),
        ];
        let content_type = match format {
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv",
        };
        let path = query(path(&["licenses", "import"]), &parameters);
        let request = Request::post_bytes(path, content_type, chunk.body.clone())?;
        Answer::read(api.send(&request)?.bytes())
    }
}

/// Creates a file for keys. A dry run only checks that it could be new.
fn create(path: &Path, dry_run: bool) -> anyhow::Result<Option<File>> {
    let refuse = || format!("cannot create {}", path.display());
    if dry_run {
        let is_there = path.symlink_metadata().is_ok();
        return if is_there {
            Err(io::Error::from(io::ErrorKind::AlreadyExists)).with_context(refuse)
        } else {
            Ok(None)
        };
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map(Some).with_context(refuse)
}
