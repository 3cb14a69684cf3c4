//! `import`: sends a file of licences in as many requests as needed.

mod chunks;
mod report;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Context;
use clap::{Args, ValueEnum};
use countersign::limits::MAX_BODY_BYTES;
use indicatif::ProgressBar;

use crate::api::{Api, Request, path, query};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::output::progress;
use chunks::{Chunk, Chunks, Piece};
use report::Report;

/// Import licences from `export` or another system
///
/// ndjson has a JSON object on each line; csv begins with a line of column names. The names are
/// those that `export` writes: `product`, `policy`, `plan` and the other terms, `domains`, `owner`
/// and so on. `key` is an existing key, `keyHash` its SHA-256 instead. An invalid line is reported
/// with its number and skipped.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file to import; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file's format [default: csv for a file named *.csv, ndjson for any other]
    #[arg(long)]
    format: Option<Format>,
    /// Check all lines and import none
    #[arg(long)]
    dry_run: bool,
    /// Write the keys generated for lines without one to this new file (mode 0600, ndjson)
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Ndjson,
    Csv,
}

impl Import {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let format = self.format.unwrap_or_else(|| match self.file.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("csv") => Format::Csv,
            _ => Format::Ndjson,
        });
        let (input, bar): (Box<dyn BufRead>, _) = if self.file.as_os_str() == "-" {
            (Box::new(io::stdin().lock()), progress::items("bytes"))
        } else {
            let file = File::open(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
            let bar = progress::bytes(file.metadata()?.len());
            (Box::new(BufReader::new(file)), bar)
        };
        let api = if self.dry_run { self.connection.open() } else { self.connection.create() }?;
        let keys = self.keys.as_deref().filter(|_| !self.dry_run).map(create).transpose()?;
        let report = Mutex::new(Report::new(keys, self.dry_run, bar.clone()));
        self.send_all(&api, Chunks::new(input, format)?, &report, &bar)?;
        let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.deliver(&api)?;
        bar.finish_and_clear();
        report.finish(self.connection.json)
    }

    /// Sends chunks as they are read, several at once, until one fails.
    fn send_all(
        &self,
        api: &Api,
        chunks: Chunks<impl BufRead>,
        report: &Mutex<Report>,
        bar: &ProgressBar,
    ) -> Result<(), CommandError> {
        let (sender, receiver) = sync_channel::<Chunk>(0);
        let receiver = Mutex::new(receiver);
        thread::scope(|scope| {
            for _ in 0..api.concurrency() {
                scope.spawn(|| self.send_each(api, &receiver, report));
            }
            for piece in chunks {
                if lock(report).has_failed() {
                    break;
                }
                match piece? {
                    Piece::TooLong(line) => {
                        lock(report).refuse(line, &format!("the line is longer than {MAX_BODY_BYTES} bytes"));
                    }
                    Piece::Chunk(chunk) => {
                        if let Some(line) = chunk.without_key.filter(|_| self.keys.is_none() && !self.dry_run) {
                            lock(report).fail(CommandError::Input(format!(
                                "line {line} has no key; give `--keys FILE` to generate one and save it there"
                            )));
                            break;
                        }
                        bar.set_position(chunk.end);
                        // The receivers run until `sender` is dropped.
                        let _ = sender.send(chunk);
                    }
                }
            }
            drop(sender);
            Ok(())
        })
    }

    /// Sends chunks until there are no more. After a failure it only receives them, so that the
    /// reader does not block.
    fn send_each(&self, api: &Api, chunks: &Mutex<Receiver<Chunk>>, report: &Mutex<Report>) {
        loop {
            let Ok(chunk) = lock(chunks).recv() else { return };
            if lock(report).has_failed() {
                continue;
            }
            let lines = chunk.first_line..=chunk.last_line;
            let answer = self.send(api, chunk);
            let mut report = lock(report);
            if let Err(error) = answer.and_then(|answer| report.add(&answer)) {
                if matches!(&error, CommandError::Api(error) if error.may_pass()) {
                    report.leave_open(lines);
                }
                report.fail(error);
            }
        }
    }

    fn send(&self, api: &Api, chunk: Chunk) -> Result<Vec<u8>, CommandError> {
        let parameters =
            [("firstLine", Some(chunk.body_line.to_string())), ("dryRun", self.dry_run.then(|| "true".to_owned()))];
        let path = query(path(&["licenses", "import"]), &parameters);
        let request = Request::post_bytes(path, chunk.format.content_type(), chunk.body)?;
        Ok(api.send(&request)?.bytes().to_vec())
    }
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
        }
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).with_context(|| format!("cannot create {}", path.display()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
