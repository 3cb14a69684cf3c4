//! `measure`: [`target`] asks one server, [`load`] decides when, and [`figures`] has what came out.

mod figures;
mod load;
mod target;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, value_parser};
use countersign::key;
use countersign::limits::MAX_KEY_BYTES;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{Bounds, Remote};
use crate::error::CommandError;
use crate::limits::MAX_MEASURED_ANSWER_BYTES;
use crate::options::question::Question;
use crate::output::print;
use figures::Figures;
use load::Plan;
use target::Target;

/// Measure how fast servers answer validations
///
/// Asks each server for the same validation, over connections that stay open, as a program would.
/// Several servers are asked in turns (a, b, a, b, …), so that noise meets all alike. Prints P50,
/// P95 and P99, exact over all verdicts, and a histogram. A request without a verdict, such as one
/// that gets a 503, has failed and does not count in these figures. Ctrl-C ends the measurement
/// and prints what there is.
///
/// Each connection sends a request when the last one is answered, at most 200 a second to a server.
/// With --rate requests are sent on a schedule, and times count from the moment at which a request
/// was due. So a server that falls behind shows as slow, and not as asked less.
///
/// What servers ask for is obeyed: after a 429 or with Retry-After, they get no request for as long
/// as they say. A server that costs 30 seconds in failed requests and such waits is not asked
/// again.
///
/// Measure with a key that every server knows. A duration that begins with the first validation
/// begins.
#[derive(Debug, Args)]
pub(crate) struct Measure {
    /// The servers: https://HOST, or http:// on this machine
    #[arg(value_name = "URL", required = true)]
    servers: Vec<String>,
    /// The file that has the key in its first line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    #[command(flatten)]
    question: Question,
    /// Measure activations in place of validations, of a seat that is released after each; without
    /// --fingerprint, --domain and --user the holder is a random fingerprint
    #[arg(long, conflicts_with_all = ["connections", "rate"])]
    activations: bool,
    /// Requests to each server
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    requests: u32,
    /// Requests to each server before those, which are not counted
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u32).range(0..=10_000))]
    warm_up: u32,
    /// Connections to each server
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=64))]
    connections: u32,
    /// Requests a second to each server, sent on a schedule whether or not answers keep up
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000))]
    rate: Option<u32>,
    /// How long to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u32).range(1..=60))]
    timeout: u32,
    /// Allow plain HTTP to another machine, although others can read the key
    #[arg(long)]
    insecure_http: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Measure {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let key = read_key(&self.key_file)?;
        let asked = target::Asked::new(&key, &self.question, self.activations)?;
        let bounds = Bounds { time: Duration::from_secs(self.timeout.into()), bytes: MAX_MEASURED_ANSWER_BYTES };
        // Each connection has a client of its own: one that is shared would lock between requests.
        let connect = |url: &String| Remote::within(bounds, url, None, self.insecure_http);
        let workers = (0..self.connections)
            .map(|_| self.servers.iter().map(|url| Ok(Target::new(connect(url)?, asked.clone()))).collect())
            .collect::<Result<Vec<Vec<Target>>, String>>()
            .map_err(CommandError::Input)?;
        let mut figures = Vec::new();
        for target in workers.iter().take(1).flatten() {
            target.check(&key)?;
            figures.push(Figures::new(target.url()));
        }

        let plan = Plan {
            requests: self.requests,
            warm_up: self.warm_up.div_ceil(self.connections),
            rate: self.rate,
            stop: stop_on_interrupt()?,
        };
        let is_whole = load::run(&plan, workers, &mut figures);
        figures.iter_mut().for_each(Figures::sort);
        if self.activations {
            for url in &self.servers {
                let target = Target::new(connect(url).map_err(CommandError::Input)?, asked.clone());
                if let Err(error) = target.release() {
                    print::note(format_args!("note: the seat could not be released and may remain: {error}"));
                }
            }
        }
        self.print(&figures, is_whole)
    }

    fn print(&self, figures: &[Figures], is_whole: bool) -> Result<ExitCode, CommandError> {
        if self.json {
            let what = if self.activations { "activations" } else { "validations" };
            let report = json!({
                "measured": what,
                "connections": self.connections,
                "rate": self.rate,
                "interrupted": !is_whole,
                "servers": figures.iter().map(Figures::to_json).collect::<Vec<_>>(),
            });
            print::json(report.to_string().as_bytes())?;
        } else {
            print::out().write_all(figures::report(figures, self.noun()).as_bytes())?;
        }
        if !is_whole {
            print::note(format_args!("countersign: interrupted; these are the answers until then"));
        }
        for figures in figures.iter().filter(|figures| figures.failed() > 0) {
            print::note(format_args!("countersign: {}", figures.failure(self.noun())));
        }
        Ok(match figures {
            _ if figures.iter().any(|figures| figures.answered() == 0) => ExitCode::from(3),
            _ if figures.iter().any(|figures| figures.failed() > 0) => ExitCode::from(1),
            _ => ExitCode::SUCCESS,
        })
    }

    fn noun(&self) -> figures::Noun {
        if self.activations {
            figures::Noun("activation", "activations")
        } else {
            figures::Noun("validation", "validations")
        }
    }
}

/// The first line of a file. It is never an argument, which other users could read.
fn read_key(file: &Path) -> Result<String, CommandError> {
    // As much as the longest key with CRLF, and a byte more: a key that is too long must not pass
    // by being cut.
    let limit = MAX_KEY_BYTES as u64 + 3;
    let mut bytes = Vec::new();
    let name = if file == Path::new("-") { "standard input".into() } else { file.display().to_string() };
    let read = match file == Path::new("-") {
        true => io::stdin().take(limit).read_to_end(&mut bytes),
        false => File::open(file).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    read.with_context(|| format!("cannot read {name}"))?;
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let wrong = |what: &dyn std::fmt::Display| CommandError::Input(format!("the key in {name} {what}"));
    let key = std::str::from_utf8(first).map_err(|_| wrong(&"is not text in UTF-8"))?.trim();
    key::read(key).map_err(|error| wrong(&error))?;
    Ok(key.to_owned())
}

/// A flag that Ctrl-C sets.
fn stop_on_interrupt() -> io::Result<Arc<AtomicBool>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut interrupt = {
        let _runtime = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    let stop = Arc::new(AtomicBool::new(false));
    let set = stop.clone();
    thread::spawn(move || {
        runtime.block_on(interrupt.recv());
        set.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}
