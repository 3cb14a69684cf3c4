//! One run of the load generator, [oha](https://github.com/hatoo/oha).

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{cases::Case, machine, servers::Server};

/// The load of a run.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: u32,
    pub(crate) length: Length,
    /// Requests a second, sent whether or not earlier ones are answered (open loop). Without it,
    /// each connection sends as soon as it has an answer (closed loop).
    pub(crate) rate: Option<f64>,
}

/// When a run ends.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    Time(Duration),
    Requests(u32),
}

/// The figures of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Requests answered a second.
    pub(crate) rate: f64,
    /// Latencies in microseconds. In an open loop they count from the time the request was due.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// The processor time of the server's processes for a request, in microseconds, kernel
    /// included.
    pub(crate) processor: f64,
}

impl Load {
    /// Sends `case` to `server`. One answer with another status than the case's fails the run.
    pub(crate) fn run(&self, server: &Server, case: &Case) -> Result<Sample> {
        let before = machine::processor_time(server.group())?;
        let output = self.command(server, case)?.stderr(Stdio::inherit()).output().context("cannot run oha")?;
        let after = machine::processor_time(server.group())?;
        ensure!(output.status.success(), "oha failed ({})", output.status);
        let found: Value = serde_json::from_slice(&output.stdout).context("the output of oha is not JSON")?;
        let answers = counts(&found, "statusCodeDistribution");
        let expected = case.status.to_string();
        let good: u64 = answers.iter().filter(|(status, _)| *status == expected).map(|(_, count)| count).sum();
        let bad: Vec<_> = answers.iter().filter(|(status, _)| *status != expected).collect();
        let errors = counts(&found, "errorDistribution");
        if !bad.is_empty() || !errors.is_empty() || good == 0 {
            bail!("{}, {}: {good} expected answers, but others {bad:?} and errors {errors:?}", server.name, case.name);
        }
        let number = |path: &str| {
            found.pointer(path).and_then(Value::as_f64).with_context(|| format!("the output of oha has no {path}"))
        };
        let latency =
            |percentile: &str| Ok::<_, anyhow::Error>(1e6 * number(&format!("/latencyPercentiles/{percentile}"))?);
        Ok(Sample {
            rate: number("/summary/requestsPerSec")?,
            p50: latency("p50")?,
            p99: latency("p99")?,
            p999: latency("p99.9")?,
            processor: 1e6 * (after - before).as_secs_f64() / good as f64,
        })
    }

    fn command(&self, server: &Server, case: &Case) -> Result<Command> {
        let oha = std::env::var_os("COUNTERSIGN_OHA").context("COUNTERSIGN_OHA is not set: run `cargo xtask bench`")?;
        let mut command = Command::new(PathBuf::from(oha));
        command.args(["--no-tui", "--output-format", "json", "--disable-compression", "-t", "20s"]);
        match self.length {
            // `-w` waits for the requests in flight at the end, and counts them.
            Length::Time(time) => command.arg("-w").arg("-z").arg(format!("{}ms", time.as_millis())),
            Length::Requests(requests) => command.arg("-n").arg(requests.to_string()),
        };
        command.arg("-c").arg(self.connections.to_string());
        if let Some(rate) = self.rate {
            command.arg("-q").arg(format!("{rate:.0}")).arg("--latency-correction");
        }
        if let Some(bodies) = &case.bodies {
            command.args(["-m", "POST", "-T", "application/json", "-Z"]).arg(bodies);
        }
        command.arg(format!("http://{}{}", server.address(), case.path));
        Ok(command)
    }
}

fn counts<'a>(found: &'a Value, field: &str) -> Vec<(&'a str, u64)> {
    let entries = found[field].as_object().into_iter().flatten();
    entries.map(|(name, count)| (name.as_str(), count.as_u64().unwrap_or_default())).collect()
}
