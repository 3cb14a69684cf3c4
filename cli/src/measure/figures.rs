//! What a server's answers came to: percentiles, a histogram, a table, JSON.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use comfy_table::{CellAlignment, Table};
use indicatif::HumanCount;
use serde_json::{Value, json};

use crate::limits::MAX_MEASURE_LOSS;
use crate::output::table;

/// Rows of a histogram.
const ROWS: usize = 12;

/// Columns of the longest bar: with its label and its count it fits in 80.
const BAR: usize = 54;

/// Kinds of verdicts and of failures that are listed.
const SHOWN: usize = 4;

/// Columns of an address in the table, which fits in 80 columns with it.
const ADDRESS: usize = 32;

/// What was measured, one of it and several.
#[derive(Clone, Copy)]
pub(super) struct Noun(pub(super) &'static str, pub(super) &'static str);

/// What one server answered.
pub(super) struct Figures {
    url: String,
    /// How long each verdict took.
    times: Vec<Duration>,
    /// How many verdicts had each code.
    codes: BTreeMap<String, u64>,
    /// How many requests failed in each way.
    faults: BTreeMap<String, u64>,
    /// Whether the server cost so much time that it was not asked again.
    pub(super) is_given_up: bool,
}

impl Figures {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            times: Vec::new(),
            codes: BTreeMap::new(),
            faults: BTreeMap::new(),
            is_given_up: false,
        }
    }

    /// Adds a request: the code of its verdict, or how it failed.
    pub(super) fn add(&mut self, took: Duration, outcome: Result<String, String>) {
        match outcome {
            Ok(code) => {
                self.times.push(took);
                *self.codes.entry(code).or_default() += 1;
            }
            Err(fault) => *self.faults.entry(fault).or_default() += 1,
        }
    }

    /// Puts the times in order, for all that reads them.
    pub(super) fn sort(&mut self) {
        self.times.sort_unstable();
    }

    pub(super) fn answered(&self) -> u64 {
        self.times.len() as u64
    }

    pub(super) fn failed(&self) -> u64 {
        self.faults.values().sum()
    }

    /// The time that n of a hundred answers took at most, by the nearest rank.
    fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.times.len() * percent).div_ceil(100);
        self.times.get(rank.max(1) - 1).copied()
    }

    /// What a page can quote.
    fn quote(&self, Noun(one, many): Noun) -> String {
        let answered = self.answered();
        match [50, 95, 99].map(|percent| self.percentile(percent)) {
            [Some(p50), Some(p95), Some(p99)] => {
                let noun = if answered == 1 { one } else { many };
                let [p50, p95, p99] = [p50, p95, p99].map(short);
                format!("P50 {p50}, P95 {p95}, P99 {p99} over {} {noun}", HumanCount(answered))
            }
            _ => format!("no {one} was answered"),
        }
    }

    /// In one line, how requests failed.
    pub(super) fn failure(&self, Noun(_, many): Noun) -> String {
        let (failed, all) = (self.failed(), self.answered() + self.failed());
        let mut line = format!(
            "{}: {} of {} {many} failed ({})",
            self.url,
            HumanCount(failed),
            HumanCount(all),
            counts(&self.faults)
        );
        if self.is_given_up {
            let _ = write!(line, "; not asked again after {} s of failures", MAX_MEASURE_LOSS.as_secs());
        }
        line
    }

    pub(super) fn to_json(&self) -> Value {
        let mean = self.times.iter().sum::<Duration>().checked_div(self.times.len() as u32);
        let mut json = json!({
            "url": self.url,
            "p50Micros": self.percentile(50).map(micros),
            "p95Micros": self.percentile(95).map(micros),
            "p99Micros": self.percentile(99).map(micros),
            "minMicros": self.times.first().copied().map(micros),
            "meanMicros": mean.map(micros),
            "maxMicros": self.times.last().copied().map(micros),
            "requests": self.answered() + self.failed(),
            "failed": self.failed(),
            "codes": self.codes,
            "errors": self.faults,
        });
        if self.is_given_up {
            json["givenUp"] = true.into();
        }
        json
    }

    /// How many answers took at least as long as each edge, and less than the next.
    fn counts_between(&self, edges: &[Duration]) -> Vec<usize> {
        let below = |edge: &Duration| self.times.partition_point(|time| time < edge);
        let ends = edges.iter().skip(1).map(below).chain([self.times.len()]);
        edges.iter().map(below).zip(ends).map(|(start, end)| end - start).collect()
    }
}

/// All servers, for people.
pub(super) fn report(figures: &[Figures], noun: Noun) -> String {
    let edges = edges(figures);
    let mut text = String::new();
    for figures in figures {
        let _ = writeln!(text, "{}\n  {}", figures.url, figures.quote(noun));
        if !figures.codes.is_empty() {
            let _ =
                writeln!(text, "  {}\n{}", counts(&figures.codes), histogram(&figures.counts_between(&edges), &edges));
        }
    }
    text + &table(figures)
}

/// The lower ends of the rows of all histograms, which have the same so that they compare: from the
/// shortest time to the longest P99, each row as many times longer as the one before. The last row
/// has all that took longer.
fn edges(figures: &[Figures]) -> Vec<Duration> {
    let shortest = figures.iter().filter_map(|figures| figures.times.first()).min();
    let longest = figures.iter().filter_map(|figures| figures.percentile(99)).max();
    let (Some(shortest), Some(longest)) = (shortest, longest) else { return Vec::new() };
    let ratio = longest.as_secs_f64() / shortest.as_secs_f64().max(f64::MIN_POSITIVE);
    let edge = |row: usize| shortest.mul_f64(ratio.powf(row as f64 / (ROWS - 1) as f64));
    // The first is exact, so that nothing is below it.
    [*shortest].into_iter().chain((1..ROWS).map(edge)).collect()
}

fn histogram(counts: &[usize], edges: &[Duration]) -> String {
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let mut text = String::new();
    for (edge, count) in edges.iter().zip(counts) {
        // The smallest count is seen too.
        let bar = "█".repeat((count * BAR).div_ceil(most));
        let _ = writeln!(text, "  {:>8}  {bar} {}", short(*edge), HumanCount(*count as u64));
    }
    text
}

fn table(figures: &[Figures]) -> String {
    let mut table = Table::new();
    table.set_header(["P50", "P95", "P99", "MAX", "FAILED", "SERVER"]);
    for figures in figures {
        let time = |time: Option<Duration>| time.map_or_else(String::new, short);
        let times = [50, 95, 99].map(|percent| time(figures.percentile(percent)));
        let longest = time(figures.times.last().copied());
        let failed = HumanCount(figures.failed()).to_string();
        table.add_row(times.into_iter().chain([longest, failed, cut(&figures.url)]));
    }
    for column in table.column_iter_mut().take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table::columns(table)
}

/// An address that fits into the table. It is above in full.
fn cut(url: &str) -> String {
    match url.char_indices().nth(ADDRESS) {
        Some((at, _)) => format!("{}…", url.get(..at).unwrap_or_default()),
        None => url.to_owned(),
    }
}

/// Such as "VALID 998, EXPIRED 2", the most first.
fn counts(of: &BTreeMap<String, u64>) -> String {
    let mut counts: Vec<_> = of.iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(**count));
    let more = counts.len().saturating_sub(SHOWN);
    let shown = counts.iter().take(SHOWN).map(|(what, count)| format!("{what}: {}", HumanCount(**count)));
    let more = (more > 0).then(|| format!("{more} more"));
    shown.chain(more).collect::<Vec<_>>().join(", ")
}

fn micros(time: Duration) -> u64 {
    u64::try_from((time.as_nanos() + 500) / 1_000).unwrap_or(u64::MAX)
}

/// A time with three digits or so, in the unit that suits it.
fn short(time: Duration) -> String {
    match micros(time) {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros @ 1_000..10_000 => format!("{:.2} ms", micros as f64 / 1e3),
        micros @ 10_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        micros => format!("{:.2} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOUN: Noun = Noun("validation", "validations");

    fn figures(micros: impl IntoIterator<Item = u64>) -> Figures {
        let mut figures = Figures::new("http://127.0.0.1:3000");
        for time in micros {
            figures.add(Duration::from_micros(time), Ok("VALID".into()));
        }
        figures.sort();
        figures
    }

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        for (times, expected) in [
            (1..=1, [1, 1, 1]),
            (1..=2, [1, 2, 2]),
            (1..=100, [50, 95, 99]),
            (1..=1_000, [500, 950, 990]),
            (1..=1_001, [501, 951, 991]),
        ] {
            let figures = figures(times.clone().rev());
            let percentiles = [50, 95, 99].map(|percent| figures.percentile(percent).unwrap().as_micros());
            assert_eq!(percentiles, expected, "{times:?}");
        }
        assert_eq!(figures([]).percentile(50), None);
    }

    #[test]
    fn a_page_can_quote_a_line() {
        let times = [92; 900].into_iter().chain([140; 60]).chain([310; 40]);
        assert_eq!(figures(times).quote(NOUN), "P50 92 µs, P95 140 µs, P99 310 µs over 1,000 validations");
        assert_eq!(figures([1_500]).quote(NOUN), "P50 1.50 ms, P95 1.50 ms, P99 1.50 ms over 1 validation");
        assert_eq!(figures([]).quote(NOUN), "no validation was answered");
    }

    #[test]
    fn failed_requests_have_no_time() {
        let mut figures = figures([100]);
        for _ in 0..9 {
            figures.add(Duration::ZERO, Err("503 UNAVAILABLE".into()));
        }
        assert_eq!((figures.answered(), figures.failed()), (1, 9));
        assert_eq!(figures.to_json()["p99Micros"], 100);
        let failure = "http://127.0.0.1:3000: 9 of 10 validations failed (503 UNAVAILABLE: 9)";
        assert_eq!(figures.failure(NOUN), failure);
    }

    #[test]
    fn each_answer_is_in_one_row_of_the_histogram() {
        for times in [vec![0], vec![7; 5], vec![1, 1_000_000], (1..=5_000).collect(), vec![100, 100, 100, 60_000_000]] {
            let figures = [figures(times), figures([50_000])];
            let edges = edges(&figures);
            for figures in figures {
                assert_eq!(figures.counts_between(&edges).iter().sum::<usize>(), figures.times.len());
            }
        }
    }

    #[test]
    fn a_report_fits_in_80_columns() {
        let mut long = figures((1..=1_000_000).map(|at| 59_000_000 + at));
        long.url = format!("https://{}.example.com", "a".repeat(50));
        for line in report(&[long, figures([1])], NOUN).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
