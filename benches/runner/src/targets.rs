//! What this is to come to, beside what it came to in this run.

use anyhow::Result;
use countersign_host_tests::artifacts;

use crate::{
    cases::{FLOOR, HOT},
    growth::Grown,
    inside::Inside,
    lasting::{LASTING, Resident},
    rounds::Measured,
    servers::{AXUM_CACHED, AXUM_MAP, NATIVE, SPIN_MEMORY, WASMTIME, WORKERD_KV, WORKERD_MAP},
    statistics::Figure,
};

/// One line of them.
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) bound: Bound,
    pub(crate) unit: Unit,
    /// What was measured; nothing where this run did not.
    pub(crate) found: Option<Figure>,
}

/// On which side of what a figure must be.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    Under(f64),
}

/// Of a figure and its bound.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// How many times another figure.
    Times,
    Micros,
    Bytes,
}

impl Target {
    pub(crate) fn is_met(&self) -> Option<bool> {
        let Figure { median, .. } = self.found?;
        Some(match self.bound {
            Bound::AtLeast(least) => median >= least,
            Bound::Under(bound) => median < bound,
        })
    }
}

/// Those of servers under load.
pub(crate) fn end_to_end(measured: &[Measured<'_>]) -> Vec<Target> {
    let target = |what: String, least, (server, case), (other, other_case)| {
        let found = measured.iter().find(|one| one.is(server, case));
        let found = found.zip(measured.iter().find(|one| one.is(other, other_case)));
        let found = found.map(|(one, other)| one.ratio(other, |sample| sample.rate));
        Target { what, bound: Bound::AtLeast(least), unit: Unit::Times, found }
    };
    let peers = [(AXUM_CACHED, 0.85), (AXUM_MAP, 0.80), (WORKERD_MAP, 4.0), (WORKERD_KV, 8.0)];
    let beside =
        peers.map(|(peer, least)| target(format!("{NATIVE}, {HOT}, to {peer}"), least, (NATIVE, HOT), (peer, HOT)));
    let fresh = [WASMTIME, SPIN_MEMORY].map(|server| {
        let what = format!("{server}, a fresh instance for each request, {HOT}, to its {FLOOR}");
        target(what, 0.90, (server, HOT), (server, FLOOR))
    });
    beside.into_iter().chain(fresh).collect()
}

/// The others.
pub(crate) fn others(inside: &Inside, grown: &[Grown], resident: Option<&Resident>) -> Result<Vec<Target>> {
    let target = |what: &str, bound, unit, found| Target { what: what.to_owned(), bound, unit, found };
    let mut largest = 0;
    for host in ["wasi", "fastly", "spin", "spin-sqlite"] {
        largest = largest.max(artifacts::component(&format!("countersign-{host}.wasm"))?.metadata()?.len());
    }
    let growth = resident.map(|resident| exactly(resident.later as f64 - resident.settled as f64));
    Ok(vec![
        target(
            "a million licences to a thousand",
            Bound::AtLeast(0.95),
            Unit::Times,
            grown.last().map(|one| one.ratio),
        ),
        target(
            "first verdict of a fresh instance to the empty component",
            Bound::Under(3.0),
            Unit::Times,
            Some(inside.first_to_empty),
        ),
        target("first verdict of a fresh instance", Bound::Under(40.0), Unit::Micros, Some(inside.first)),
        target("warm verdict to the same code natively", Bound::Under(3.0), Unit::Times, Some(inside.warm_to_native)),
        target(
            "largest composition of shell, validator and store",
            Bound::Under(200e3),
            Unit::Bytes,
            Some(exactly(largest as f64)),
        ),
        target(
            "linear memory of an instance, after 10,000 validations",
            Bound::Under(2e6),
            Unit::Bytes,
            Some(exactly(inside.memory_later as f64)),
        ),
        // A leak of a byte a request would show.
        target("growth of the native host over a million", Bound::Under(f64::from(LASTING)), Unit::Bytes, growth),
    ])
}

fn exactly(figure: f64) -> Figure {
    Figure { median: figure, spread: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Target, Unit, exactly};

    #[test]
    fn a_bound_is_kept_on_its_side() {
        let is_met = |bound, found: Option<f64>| {
            Target { what: String::new(), bound, unit: Unit::Times, found: found.map(exactly) }.is_met()
        };
        assert_eq!(is_met(Bound::AtLeast(0.9), Some(0.9)), Some(true));
        assert_eq!(is_met(Bound::AtLeast(0.9), Some(0.89)), Some(false));
        assert_eq!(is_met(Bound::Under(3.0), Some(3.0)), Some(false));
        assert_eq!(is_met(Bound::Under(3.0), Some(2.9)), Some(true));
        assert_eq!(is_met(Bound::Under(3.0), None), None);
        assert_eq!(is_met(Bound::Under(3.0), Some(f64::NAN)), Some(false));
    }
}
