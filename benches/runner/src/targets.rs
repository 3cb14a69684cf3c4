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
    /// What was tried, and what stands in the way, for where it is not met.
    pub(crate) obstacle: &'static str,
}

const BESIDE_AXUM: &str = "a quarter of a hot row's processor time is the component's own code, a twelfth is wasmtime, which carries \
    request, row and answer across the seams, and a fourteenth the two calls of the kernel that tell whether another process has \
    written; the peer calls a function. Gave something: rows in memory until somebody writes, warm instances, the core and SHA-256 \
    compiled for speed. Gave nothing: another allocator (rlsf), SIMD, fewer calls of clock and settings; without bulk memory it was \
    slower by an eighth. What is left is the price of a sandbox, and of bytes that run on every host.";
const BESIDE_WORKERD: &str = "as above; and what workerd runs is the handler that every tutorial shows, which looks up, compares and answers: it \
    knows no checksum, no names in Unicode, no events and no bounds.";
const FRESH: &str = "what a fresh instance adds to the no-op is a verdict on cold memory: pages of three components touched for the first \
    time, the body read through streams, the event written. Gave something: memory that stays mapped, where the host has an option \
    for it (`wasmtime serve`: 1.7 times the requests; Spin has none), components without a std of WASI's. Gave nothing: another \
    allocator.";
const FIRST: &str = "made and dropped, the validator takes 2.7 times the empty component, and its verdict on a warm instance 2.2 times. \
    Gave something: memory that stays mapped between instances, from 17 times to 8.";
const WARM: &str = "natively SHA-256 is an instruction of the processor; and natively no request is copied in, no row and no answer out, and \
    no event is written. Gave something: the core and SHA-256 compiled for speed, an eighth; texts written without `core::fmt`, a tenth; \
    serde_json compiled for speed, a thirtieth. Gave nothing: other allocators (rlsf, talc), inlining by the engine; all of it compiled \
    for speed would take a fiftieth less time and a quarter more bytes.";
const SIZE: &str = "names in Unicode take 128 KB (UTS 46); the rest is the six verbs, their JSON and the typed interface. Gave something: \
    no std of WASI's (some 30 %), `opt-level = \"s\"`. Binaryen's `wasm-opt -Oz` would take another tenth, and would be one more tool \
    that a machine must have.";
const GROWTH: &str = "pools that had not filled yet: in a run of its own the host grew by 0.7 MiB over 2.4 million, and by nothing over the \
    last 400,000 of them.";
/// Of what has always been met.
const NONE: &str = "nothing known.";

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

/// The others.
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
        // A leak of a byte a request would show.
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
    fn a_bound_is_kept_on_its_side() {
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
