//! The order of the load: rounds over all figures in turn, so that a disturbance of the machine
//! affects all figures alike.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{
    cases::{Case, FLOOR, HOT, MANY},
    load::{Length, Load, Sample},
    servers::{NATIVE, Server},
    statistics::Figure,
};

/// The lengths, numbers and loads of a benchmark.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    warm_up: Duration,
    pub(crate) length: Duration,
    pub(crate) connections: u32,
    /// Further numbers of connections to measure.
    sweep: &'static [u32],
    /// Starts of each server.
    pub(crate) starts: usize,
}

pub(crate) const QUICK: Plan = Plan {
    rounds: 3,
    warm_up: Duration::from_millis(500),
    length: Duration::from_secs(1),
    connections: 32,
    sweep: &[],
    starts: 1,
};

pub(crate) const FULL: Plan = Plan {
    rounds: 5,
    warm_up: Duration::from_secs(2),
    length: Duration::from_secs(3),
    connections: 32,
    sweep: &[1, 8, 64, 512],
    starts: 5,
};

/// One case on one server, with a sample for each round.
pub(crate) struct Measured<'a> {
    pub(crate) server: &'a Server,
    pub(crate) case: &'a Case,
    pub(crate) load: Load,
    pub(crate) samples: Vec<Sample>,
}

impl Measured<'_> {
    pub(crate) fn figure(&self, quantity: impl Fn(&Sample) -> f64) -> Figure {
        Figure::of(self.samples.iter().map(quantity))
    }

    pub(crate) fn is(&self, server: &str, case: &str) -> bool {
        self.server.name == server && self.case.name == case
    }

    /// This one's quantity divided by the other's, round by round.
    pub(crate) fn ratio(&self, other: &Self, quantity: impl Fn(&Sample) -> f64) -> Figure {
        let pairs = self.samples.iter().zip(&other.samples);
        Figure::of(pairs.map(|(this, other)| quantity(this) / quantity(other)))
    }
}

/// Measures every case of every server at the plan's number of connections.
pub(crate) fn closed_loop<'a>(servers: &'a [Server], cases: &'a [Case], plan: &Plan) -> Result<Vec<Measured<'a>>> {
    let load = Load { connections: plan.connections, length: Length::Time(plan.length), rate: None };
    let mut measured = Vec::new();
    for server in servers {
        for name in &server.cases {
            let case =
                cases.iter().find(|case| case.name == *name).with_context(|| format!("there is no case `{name}`"))?;
            case.check(server)?;
            Load { length: Length::Time(plan.warm_up), ..load }.run(server, case)?;
            measured.push(Measured { server, case, load, samples: Vec::new() });
        }
    }
    run(&mut measured, plan, "closed loop")?;
    Ok(measured)
}

/// Measures the hot row at half the rate of the closed loop.
pub(crate) fn open_loop<'a>(closed: &[Measured<'a>], plan: &Plan) -> Result<Vec<Measured<'a>>> {
    let mut measured: Vec<_> = closed
        .iter()
        .filter(|closed| closed.case.name == HOT)
        .map(|closed| Measured {
            server: closed.server,
            case: closed.case,
            load: Load { rate: Some(closed.figure(|sample| sample.rate).median / 2.0), ..closed.load },
            samples: Vec::new(),
        })
        .collect();
    run(&mut measured, plan, "open loop")?;
    Ok(measured)
}

/// Measures the hot row and the floor of the native host and the peers at several numbers of
/// connections.
pub(crate) fn connections<'a>(closed: &[Measured<'a>], plan: &Plan) -> Result<Vec<Measured<'a>>> {
    let compared = |closed: &&Measured<'a>| {
        closed.server.is_peer && closed.case.name == HOT
            || closed.server.name == NATIVE && [HOT, MANY, FLOOR].contains(&closed.case.name)
    };
    let mut measured = Vec::new();
    for closed in closed.iter().filter(compared) {
        for &connections in plan.sweep {
            let load = Load { connections, ..closed.load };
            measured.push(Measured { server: closed.server, case: closed.case, load, samples: Vec::new() });
        }
    }
    run(&mut measured, plan, "connections")?;
    Ok(measured)
}

/// Adds one sample a round to each figure.
pub(crate) fn run(measured: &mut [Measured<'_>], plan: &Plan, name: &str) -> Result<()> {
    if measured.is_empty() {
        return Ok(());
    }
    for round in 1..=plan.rounds {
        eprintln!("{name}: round {round} of {}, {} figures", plan.rounds, measured.len());
        for one in &mut *measured {
            let sample = one.load.run(one.server, one.case)?;
            one.samples.push(sample);
        }
    }
    Ok(())
}
