//! The native host over growing stores. The same number of distinct keys, spread evenly over each
//! store, is validated.

use std::{fs, path::Path};

use anyhow::Result;

use crate::{
    cases::Case,
    load::{Length, Load},
    rounds::{Measured, Plan, run},
    servers::{self, BARE, Server},
    statistics::Figure,
};

const STORES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Distinct keys: all those of the smallest store.
const KEYS: u64 = STORES[0];

/// One size of a store.
pub(crate) struct Grown {
    pub(crate) licenses: u64,
    pub(crate) rate: Figure,
    pub(crate) p99: Figure,
    /// The rate relative to that of the smallest store.
    pub(crate) ratio: Figure,
}

/// Fills one store of each size and measures them in turn.
pub(crate) fn measure(directory: &Path, plan: &Plan) -> Result<Vec<Grown>> {
    let mut grown: Vec<(u64, Server, Case)> = Vec::new();
    for licenses in STORES {
        eprintln!("growth: writing {licenses} licences");
        let directory = directory.join(format!("growth-{licenses}"));
        fs::create_dir_all(&directory)?;
        let case = Case::over(&directory, (0..KEYS).map(|place| place * (licenses / KEYS)))?;
        grown.push((licenses, servers::native(&directory, licenses, &BARE)?, case));
    }
    let load = Load { connections: plan.connections, length: Length::Time(plan.length), rate: None };
    let mut measured: Vec<_> =
        grown.iter().map(|(_, server, case)| Measured { server, case, load, samples: Vec::new() }).collect();
    for one in &measured {
        one.case.check(one.server)?;
        load.run(one.server, one.case)?;
    }
    run(&mut measured, plan, "growth")?;
    let [smallest, ..] = &measured[..] else { return Ok(Vec::new()) };
    let figures = grown.iter().zip(&measured).map(|((licenses, ..), one)| Grown {
        licenses: *licenses,
        rate: one.figure(|sample| sample.rate),
        p99: one.figure(|sample| sample.p99),
        ratio: one.ratio(smallest, |sample| sample.rate),
    });
    Ok(figures.collect())
}
