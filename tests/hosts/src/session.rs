//! A session: all scenarios in order on one host, recorded once and judged by many trials.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use countersign::time::Timestamp;

use crate::client::{self, Answer};
use crate::hosts::{Host, Setup};
use crate::scenario::Scenario;

/// The longest wait for a lease's end.
const LONGEST_LEASE: Duration = Duration::from_secs(5);

/// A host's answers and its log.
#[derive(Debug)]
pub struct Session {
    /// The answer to each scenario, in order, or why there is none.
    pub answers: Vec<Result<Answer>>,
    /// The answer to `GET /readyz` afterwards.
    pub ready: Result<Answer>,
    /// The host's output and logs.
    pub log: String,
}

impl Session {
    /// Starts the host, runs the scenarios, and stops it. A scenario that is not run on this host
    /// has an error for an answer.
    pub fn record(host: Host, setup: &Setup, scenarios: &[Scenario]) -> Result<Self> {
        let running = host.start(setup)?;
        let mut answers: Vec<Result<Answer>> = Vec::with_capacity(scenarios.len());
        for scenario in scenarios {
            let answer = match (scenario.except.get(host.name()), &scenario.after_lease_of) {
                (Some(reason), _) => Err(anyhow!("not run: {reason}")),
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
        // A line that says that a licence's time began comes besides that of the answer.
        let is_answer = |line: &&&str| !line.contains(r#""event":"time-began""#);
        let log = running.process.log_when(|log| journal(log).iter().filter(is_answer).count() >= lines);
        Ok(Self { answers, ready, log })
    }

    /// The journal's lines, without any prefix that the host adds.
    #[must_use]
    pub fn journal(&self) -> Vec<&str> {
        journal(&self.log)
    }
}

/// Waits until the lease in this answer has ended.
fn await_lease_end(answer: Option<&Answer>) -> Result<()> {
    let answer = answer.context("the earlier scenario has no answer")?.json()?;
    let end = answer["activation"]["leaseEndsAt"].as_str().with_context(|| format!("no lease in {answer}"))?;
    let end = UNIX_EPOCH + Duration::from_secs(Timestamp::parse(end)?.unix().try_into()?);
    let wait = end.duration_since(SystemTime::now()).unwrap_or_default();
    ensure!(wait <= LONGEST_LEASE, "the lease ends in {wait:?}, and must within {LONGEST_LEASE:?}");
    thread::sleep(wait);
    Ok(())
}

fn journal(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| line.contains(r#""event":""#))
        .filter_map(|line| line.find('{').map(|start| &line[start..]))
        .collect()
}
