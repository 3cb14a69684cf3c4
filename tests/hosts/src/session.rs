//! All scenarios asked of one host, one after the other: recorded once, judged by many trials.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use countersign::time::Timestamp;

use crate::client::{self, Answer};
use crate::hosts::{Host, Setup};
use crate::scenario::Scenario;

/// The most that a lease of a scenario may run when its end is waited for.
const LONGEST_LEASE: Duration = Duration::from_secs(5);

/// What a host answered, and what it wrote down.
#[derive(Debug)]
pub struct Session {
    /// An answer to each scenario, in their order, or why there is none.
    pub answers: Vec<Result<Answer>>,
    /// What it answered to `GET /readyz` after that.
    pub ready: Result<Answer>,
    /// All that the host wrote to its output and its logs.
    pub log: String,
}

impl Session {
    /// Starts the host, asks it, and stops it. What it cannot be asked has an error in place of an answer.
    pub fn record(host: Host, setup: &Setup, scenarios: &[Scenario]) -> Result<Self> {
        let running = host.start(setup)?;
        let mut answers: Vec<Result<Answer>> = Vec::with_capacity(scenarios.len());
        for scenario in scenarios {
            let answer = match (scenario.except.get(host.name()), &scenario.after_lease_of) {
                (Some(reason), _) => Err(anyhow!("not asked: {reason}")),
                (None, None) => scenario.ask(running.address()),
                (None, Some(name)) => {
                    let earlier = scenarios.iter().zip(&answers).find(|(earlier, _)| earlier.name == *name);
                    let earlier = earlier.and_then(|(_, answer)| answer.as_ref().ok());
                    await_lease_end(earlier).and_then(|()| scenario.ask(running.address()))
                }
            };
            answers.push(answer);
        }
        let ready = client::send(running.address(), "GET", "/readyz", &[], b"");
        let lines = scenarios.iter().flat_map(Scenario::journal_lines).count();
        let log = running.process.log_when(|log| journal(log).len() >= lines);
        Ok(Self { answers, ready, log })
    }

    /// The journal's lines: every host puts something of its own before them, or nothing.
    #[must_use]
    pub fn journal(&self) -> Vec<&str> {
        journal(&self.log)
    }
}

/// Waits until the clock says that the lease is over which an answer told of.
fn await_lease_end(told: Option<&Answer>) -> Result<()> {
    let told = told.context("no lease was told of")?.json()?;
    let end = told["activation"]["leaseEndsAt"].as_str().with_context(|| format!("no lease in {told}"))?;
    let end = UNIX_EPOCH + Duration::from_secs(Timestamp::parse(end)?.unix().try_into()?);
    let wait = end.duration_since(SystemTime::now()).unwrap_or_default();
    ensure!(wait <= LONGEST_LEASE, "a lease of {wait:?} is not waited for");
    thread::sleep(wait);
    Ok(())
}

fn journal(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| line.contains(r#""event":""#))
        .filter_map(|line| line.find('{').map(|start| &line[start..]))
        .collect()
}
