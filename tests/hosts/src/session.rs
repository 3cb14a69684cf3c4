//! All scenarios asked of one host, one after the other: recorded once, judged by many trials.

use anyhow::{Result, anyhow};

use crate::client::{self, Answer};
use crate::hosts::{Host, Setup};
use crate::scenario::Scenario;

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
        let answers = scenarios
            .iter()
            .map(|scenario| match scenario.except.get(host.name()) {
                Some(reason) => Err(anyhow!("not asked: {reason}")),
                None => scenario.ask(running.address()),
            })
            .collect();
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

fn journal(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| line.contains(r#""event":"validation""#))
        .filter_map(|line| line.find('{').map(|start| &line[start..]))
        .collect()
}
