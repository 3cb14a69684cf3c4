//! The results, as tables in Markdown.

use std::{
    fmt::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use countersign_host_tests::artifacts;

use crate::{
    cases::{FLOOR, HOT},
    growth::Grown,
    inside::Inside,
    lasting::{LASTING, Resident, SETTLED},
    machine,
    rounds::{Measured, Plan},
    servers::{AXUM_CACHED, AXUM_MAP, NATIVE, Server},
    statistics::Figure,
    targets::{Bound, Target, Unit},
};

/// The text above the tables.
pub(crate) fn head(plan: &Plan) -> String {
    format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`. Servers and load generator share one machine, so ratios say more\n\
         than rates; each ratio is taken within a round. A figure is the median of the rounds, with half\n\
         their range (±).\n\n\
         - Machine: {}.\n\
         - Load: {}, {} connections unless said otherwise, {} rounds of {} s over all figures in turn, after a\n  \
           warm-up.\n\
         - *Processor*: the processor time of the server's processes for a request, kernel included and load\n  \
           generator excluded.\n\
         - *To no-op*: the rate relative to that of the same server answering `/healthz`.\n\
         - Peers write no journal and do not bound time, memory or connections. *{AXUM_CACHED}* asks\n  \
           SQLite at each request whether the database has changed (`PRAGMA data_version`), and caches parsed\n  \
           licences until it has; *{AXUM_MAP}* never sees a change.\n\
         - A figure counts only if every answer has the expected status; one whole answer is checked before.\n",
        machine::describe(),
        std::env::var("COUNTERSIGN_OHA_VERSION").unwrap_or_else(|_| "oha".into()),
        plan.connections,
        plan.rounds,
        plan.length.as_secs(),
    )
}

/// Each target, and whether it is met.
pub(crate) fn targets(targets: &[Target]) -> String {
    let mut table = Table::new("Targets", &["what", "must be", "is", ""]);
    for target in targets {
        let (side, bound) = match target.bound {
            Bound::AtLeast(bound) => ("at least", bound),
            Bound::Under(bound) => ("under", bound),
        };
        let in_unit = |figure: f64| match target.unit {
            Unit::Times => format!("{figure:.2} ×"),
            Unit::Micros => format!("{figure:.1} µs"),
            Unit::Bytes => format!("{:.0} KB", figure / 1e3),
        };
        table.row([
            target.what.clone(),
            format!("{side} {}", in_unit(bound)),
            target.found.map_or(String::new(), |found| in_unit(found.median) + &spread(found)),
            target.is_met().map_or("not measured", |met| if met { "met" } else { "**not met**" }).to_owned(),
        ]);
    }
    let unmet: Vec<_> = targets.iter().filter(|target| target.is_met() == Some(false)).collect();
    for alike in unmet.chunk_by(|one, next| one.obstacle == next.obstacle) {
        let names: Vec<_> = alike.iter().map(|target| target.what.as_str()).collect();
        let _ = write!(table.text, "\n*{}*: {}\n", names.join("*; *"), alike[0].obstacle);
    }
    table.text
}

/// Every case of every server.
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

/// The native host's hot row beside that of every other server.
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

/// Latency below saturation.
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

/// Rate and latency by number of connections.
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

/// Memory before and after all load.
pub(crate) fn memory(servers: &[Server], idle: &[u64], loaded: &[u64]) -> String {
    let mut table = Table::new("Resident memory", &["server", "idle", "after the load"]);
    for ((server, idle), loaded) in servers.iter().zip(idle).zip(loaded) {
        table.row([server.name.to_owned(), mebibytes(*idle), mebibytes(*loaded)]);
    }
    table.text
}

/// Instances without HTTP.
pub(crate) fn inside(inside: &Inside) -> String {
    let mut table = Table::new("Inside, in one process, without HTTP", &["what", "time"]);
    let rows = [
        ("empty component (one page of memory, one function): created and dropped", inside.empty),
        ("validator: created and dropped", inside.instantiate),
        ("validator: created, called once, dropped", inside.first),
        ("existing instance of the validator: one `service.handle` of a validation", inside.warm),
        ("the same Rust code natively: reads request and record, decides, writes the verdict", inside.native),
    ];
    for (what, figure) in rows {
        table.row([what.to_owned(), micros(figure) + &spread(figure)]);
    }
    let _ = writeln!(
        table.text,
        "\nFirst verdict to the empty component: {}. Warm verdict to the same code natively: {}.\n\
         Processor time of one thread, on an engine configured as the native host's, with a store in memory. Linear memory of\n\
         an instance: {} bytes after one validation, {} after 10,000.",
        ratio(inside.first_to_empty),
        ratio(inside.warm_to_native),
        inside.memory_first,
        inside.memory_later
    );
    table.text
}

/// Memory over many requests.
pub(crate) fn lasting(resident: Option<&Resident>) -> String {
    let Some(Resident { settled, later }) = resident else { return String::new() };
    format!(
        "\n## Native host with its journal and its registrar, resident memory\n\n{} after {SETTLED} validations, {} after {LASTING} more.\n",
        mebibytes(*settled),
        mebibytes(*later)
    )
}

/// Instructions in the core, as `benches/core` counts them.
pub(crate) fn instructions() -> Result<String> {
    let program = std::env::var_os("COUNTERSIGN_BENCH_CORE");
    let mut count = Command::new(program.context("COUNTERSIGN_BENCH_CORE is not set: run `cargo xtask bench`")?);
    let counted = count.arg("--instructions").stderr(Stdio::inherit()).output()?;
    ensure!(counted.status.success(), "the count of instructions failed ({})", counted.status);
    let table = String::from_utf8(counted.stdout)?;
    Ok(if table.is_empty() { table } else { format!("\n## Instructions in the core, by callgrind\n\n{table}") })
}

/// Starts of processes.
pub(crate) fn starts(starts: &[(&'static str, Figure)]) -> String {
    let mut table = Table::new("Start of the process to its first answer", &["server", "time"]);
    for (name, seconds) in starts {
        table.row([(*name).to_owned(), format!("{:.0} ms{}", seconds.median * 1e3, spread(*seconds))]);
    }
    table.text
}

/// Sizes of the files to deploy.
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

/// Rate by number of licences.
pub(crate) fn growth(grown: &[Grown]) -> String {
    if grown.is_empty() {
        return String::new();
    }
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

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn ratio(figure: Figure) -> String {
    format!("{:.2}{}", figure.median, spread(figure))
}

/// The spread in per cent; empty if there is none.
fn spread(figure: Figure) -> String {
    if figure.spread > 0.0 { format!(" ±{:.0} %", figure.spread * 100.0) } else { String::new() }
}
