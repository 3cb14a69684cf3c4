//! What was measured, as tables in Markdown.

use std::fmt::Write;

use anyhow::Result;
use countersign_host_tests::artifacts;

use crate::{
    cases::{FLOOR, HOT},
    growth::Grown,
    machine,
    rounds::{Measured, Plan},
    servers::{NATIVE, Server},
    statistics::Figure,
};

/// What stands above the tables.
pub(crate) fn head(plan: &Plan) -> String {
    format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`. Servers and load generator ran side by side on one machine, so read ratios rather than\n\
         rates: each is taken within a round. Shown is the median of the rounds, with half their range (±).\n\n\
         - Machine: {}.\n\
         - Load: {}, {} connections unless said otherwise, {} rounds of {} s over all figures in turn, after a warm-up.\n\
         - *Processor*: what the server's own processes computed for a request, kernel included. It leaves the generator out.\n\
         - *To no-op*: the rate beside that of the same server answering `/healthz`.\n\
         - A figure counts only if every answer had the status it should have; the whole answer is checked once before.\n",
        machine::describe(),
        std::env::var("COUNTERSIGN_OHA_VERSION").unwrap_or_else(|_| "oha".into()),
        plan.connections,
        plan.rounds,
        plan.length.as_secs(),
    )
}

/// Each case of each server.
pub(crate) fn closed_loop(measured: &[Measured<'_>]) -> String {
    let mut table =
        Table::new("End to end", &["server", "asked", "requests/s", "p50", "p99", "p99.9", "processor", "to no-op"]);
    for one in measured {
        let floor = measured.iter().find(|floor| floor.is(one.server.name, FLOOR) && one.case.name != FLOOR);
        let to_floor = floor.map(|floor| one.ratio(floor, |sample| sample.rate));
        table.row([
            one.server.name.to_owned(),
            one.case.name.to_owned(),
            rate(one.figure(|sample| sample.rate)),
            micros(one.figure(|sample| sample.p50)),
            micros(one.figure(|sample| sample.p99)),
            micros(one.figure(|sample| sample.p999)),
            micros(one.figure(|sample| sample.processor)),
            to_floor.map_or(String::new(), ratio),
        ]);
    }
    table.text
}

/// The native host's hot row beside that of everything else.
pub(crate) fn beside(measured: &[Measured<'_>]) -> String {
    let mut table =
        Table::new("Native host, hot row, beside", &["server", "its rate to theirs", "their processor time to its"]);
    let Some(native) = measured.iter().find(|one| one.is(NATIVE, HOT)) else { return table.text };
    for other in measured.iter().filter(|one| one.case.name == HOT && one.server.name != NATIVE) {
        table.row([
            other.server.name.to_owned(),
            ratio(native.ratio(other, |sample| sample.rate)),
            ratio(other.ratio(native, |sample| sample.processor)),
        ]);
    }
    table.text
}

/// Latency where nothing is saturated.
pub(crate) fn open_loop(measured: &[Measured<'_>]) -> String {
    let mut table =
        Table::new("Open loop at half the rate, hot row", &["server", "due/s", "answered/s", "p50", "p99", "p99.9"]);
    for one in measured {
        table.row([
            one.server.name.to_owned(),
            one.load.rate.map_or(String::new(), |rate| format!("{rate:.0}")),
            rate(one.figure(|sample| sample.rate)),
            micros(one.figure(|sample| sample.p50)),
            micros(one.figure(|sample| sample.p99)),
            micros(one.figure(|sample| sample.p999)),
        ]);
    }
    table.text
}

/// From few connections to many.
pub(crate) fn connections(measured: &[Measured<'_>]) -> String {
    if measured.is_empty() {
        return String::new();
    }
    let mut table = Table::new("Connections", &["server", "asked", "connections", "requests/s", "p50", "p99", "p99.9"]);
    for one in measured {
        table.row([
            one.server.name.to_owned(),
            one.case.name.to_owned(),
            one.load.connections.to_string(),
            rate(one.figure(|sample| sample.rate)),
            micros(one.figure(|sample| sample.p50)),
            micros(one.figure(|sample| sample.p99)),
            micros(one.figure(|sample| sample.p999)),
        ]);
    }
    table.text
}

/// Before and after all load.
pub(crate) fn memory(servers: &[Server], idle: &[u64], loaded: &[u64]) -> String {
    let mut table = Table::new("Resident memory", &["server", "idle", "after the load"]);
    let mebibytes = |bytes: &u64| format!("{:.1} MiB", *bytes as f64 / f64::from(1 << 20));
    for ((server, idle), loaded) in servers.iter().zip(idle).zip(loaded) {
        table.row([server.name.to_owned(), mebibytes(idle), mebibytes(loaded)]);
    }
    table.text
}

/// Of processes.
pub(crate) fn starts(starts: &[(&'static str, Figure)]) -> String {
    let mut table = Table::new("Start of the process to its first answer", &["server", "time"]);
    for (name, seconds) in starts {
        table.row([(*name).to_owned(), format!("{:.0} ms{}", seconds.median * 1e3, spread(*seconds))]);
    }
    table.text
}

/// What is deployed.
pub(crate) fn artefacts() -> Result<String> {
    let mut table = Table::new("Artefacts", &["file", "bytes"]);
    for host in ["native", "wasi", "fastly", "spin", "spin-sqlite", "spin3"] {
        let name = format!("countersign-{host}.wasm");
        let bytes = artifacts::component(&name)?.metadata()?.len();
        table.row([format!("`{name}`"), bytes.to_string()]);
    }
    table.row(["`countersign`, the native host".into(), artifacts::countersign()?.metadata()?.len().to_string()]);
    Ok(table.text)
}

/// More licences.
pub(crate) fn growth(grown: &[Grown]) -> String {
    let mut table = Table::new(
        "Native host, 1,000 keys spread over a growing store",
        &["licences", "requests/s", "p99", "to the smallest"],
    );
    for one in grown {
        table.row([one.licenses.to_string(), rate(one.rate), micros(one.p99), ratio(one.ratio)]);
    }
    table.text
}

struct Table {
    text: String,
}

impl Table {
    fn new(title: &str, columns: &[&str]) -> Self {
        let text = format!("\n## {title}\n\n| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
        Self { text }
    }

    fn row<const N: usize>(&mut self, cells: [String; N]) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

fn rate(figure: Figure) -> String {
    format!("{:.0}{}", figure.median, spread(figure))
}

fn micros(figure: Figure) -> String {
    let digits = if figure.median < 100.0 { 1 } else { 0 };
    format!("{:.digits$} µs", figure.median)
}

fn ratio(figure: Figure) -> String {
    format!("{:.2}{}", figure.median, spread(figure))
}

/// Nothing for a single figure.
fn spread(figure: Figure) -> String {
    if figure.spread > 0.0 { format!(" ±{:.0} %", figure.spread * 100.0) } else { String::new() }
}
