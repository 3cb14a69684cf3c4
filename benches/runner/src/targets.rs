//! The targets, beside the figures of this run.

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

/// One target.
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) bound: Bound,
    pub(crate) unit: Unit,
    /// The figure, if this run measured it.
    pub(crate) found: Option<Figure>,
    /// Why the target is not met, and what was tried.
    pub(crate) obstacle: &'static str,
}

const BESIDE_AXUM: &str = "of a hot row's processor time, a quarter is the component's own code, a twelfth is wasmtime carrying \
    request, row and answer across the interfaces, and a fourteenth is two system calls that ask whether another \
    process has written. The peer calls a function. Rows cached until the next write, warm instances, and the \
    core and SHA-256 compiled for speed helped. Another allocator (rlsf), SIMD, and fewer calls of clock and \
    settings did not; without bulk memory it was an eighth slower. The rest is the price of a sandbox, and of \
    one file that runs on every host.";
const BESIDE_WORKERD: &str = "as above. Besides, workerd runs the handler of a tutorial, which looks up, compares and answers, without \
    checksums, Unicode names, events or bounds.";
const FRESH: &str = "beyond the no-op, a fresh instance gives its verdict on cold memory: it touches the pages of three \
    components for the first time, reads the body through streams, and writes the event. Memory that stays \
    mapped helped where the host has an option for it (`wasmtime serve`: 1.7 times the requests; Spin has none), \
    and so did components without WASI's std. Another allocator did not.";
const FIRST: &str = "creating and dropping the validator takes 2.7 times as long as the empty component, and its verdict on a \
    warm instance 2.2 times. Memory that stays mapped between instances helped, from 17 times to 8.";
const WARM: &str = "the native code has SHA-256 as an instruction of the processor, copies no request, row or answer, and writes \
    no event. Compiling the core and SHA-256 for speed saved an eighth, writing text without `core::fmt` a \
    tenth, and compiling serde_json for speed a thirtieth. Other allocators (rlsf, talc) and inlining by the \
    engine did not help. Compiling everything for speed would save a fiftieth of the time and add a quarter to \
    the size.";
const SIZE: &str = "Unicode names take 128 KB (UTS 46); the rest is the six verbs, their JSON and the typed interface. Leaving \
    out WASI's std (some 30 %) and `opt-level = \"s\"` helped. Binaryen's `wasm-opt -Oz` would save another \
    tenth, but is one more tool to install.";
const GROWTH: &str = "pools that were not full yet. In a run of its own the host grew by 0.7 MiB over 2.4 million validations, and \
    not at all over the last 400,000.";
/// For targets that have always been met.
const NONE: &str = "nothing known.";

/// The side of a bound that a figure must be on.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    Under(f64),
}

/// The unit of a figure and its bound.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// A ratio of two figures.
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

/// The targets of servers under load.
pub(crate) fn end_to_end(measured: &[Measured<'_>]) -> Vec<Target> {
    let target = |what: String, least, (server, case), (other, other_case), obstacle| {
        let found = measured.iter().find(|one| one.is(server, case));
        let found = found.zip(measured.iter().find(|one| one.is(other, other_case)));
        let found = found.map(|(one, other)| one.ratio(other, |sample| sample.rate));
        Target { what, bound: Bound::AtLeast(least), unit: Unit::Times, found, obstacle }
    };
    let peers = [
        (AXUM_CACHED, 0.85, BESIDE_AXUM),
        (AXUM_MAP, 0.80, BESIDE_AXUM),
        (WORKERD_MAP, 4.0, BESIDE_WORKERD),
        (WORKERD_KV, 8.0, BESIDE_WORKERD),
    ];
    let beside = peers.map(|(peer, least, obstacle)| {
        target(format!("{NATIVE}, {HOT}, to {peer}"), least, (NATIVE, HOT), (peer, HOT), obstacle)
    });
    let fresh = [WASMTIME, SPIN_MEMORY].map(|server| {
        let what = format!("{server}, a fresh instance for each request, {HOT}, to its {FLOOR}");
        target(what, 0.90, (server, HOT), (server, FLOOR), FRESH)
    });
    beside.into_iter().chain(fresh).collect()
}

/// All other targets.
pub(crate) fn others(inside: &Inside, grown: &[Grown], resident: Option<&Resident>) -> Result<Vec<Target>> {
    let target =
        |what: &str, bound, unit, found, obstacle| Target { what: what.to_owned(), bound, unit, found, obstacle };
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
            NONE,
        ),
        target(
            "first verdict of a fresh instance to the empty component",
            Bound::Under(3.0),
            Unit::Times,
            Some(inside.first_to_empty),
            FIRST,
        ),
        target("first verdict of a fresh instance", Bound::Under(40.0), Unit::Micros, Some(inside.first), FIRST),
        target(
            "warm verdict to the same code natively",
            Bound::Under(3.0),
            Unit::Times,
            Some(inside.warm_to_native),
            WARM,
        ),
        target(
            "largest composition of shell, validator and store",
            Bound::Under(200e3),
            Unit::Bytes,
            Some(exactly(largest as f64)),
            SIZE,
        ),
        target(
            "linear memory of an instance, after 10,000 validations",
            Bound::Under(2e6),
            Unit::Bytes,
            Some(exactly(inside.memory_later as f64)),
            NONE,
        ),
        // A leak of one byte a request would exceed this.
        target(
            "growth of the native host over a million",
            Bound::Under(f64::from(LASTING)),
            Unit::Bytes,
            growth,
            GROWTH,
        ),
    ])
}

fn exactly(figure: f64) -> Figure {
    Figure { median: figure, spread: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Target, Unit, exactly};

    #[test]
    fn a_lower_bound_is_inclusive_and_an_upper_one_exclusive() {
        let is_met = |bound, found: Option<f64>| {
            let found = found.map(exactly);
            Target { what: String::new(), bound, unit: Unit::Times, found, obstacle: "" }.is_met()
        };
        assert_eq!(is_met(Bound::AtLeast(0.9), Some(0.9)), Some(true));
        assert_eq!(is_met(Bound::AtLeast(0.9), Some(0.89)), Some(false));
        assert_eq!(is_met(Bound::Under(3.0), Some(3.0)), Some(false));
        assert_eq!(is_met(Bound::Under(3.0), Some(2.9)), Some(true));
        assert_eq!(is_met(Bound::Under(3.0), None), None);
        assert_eq!(is_met(Bound::Under(3.0), Some(f64::NAN)), Some(false));
    }
}
