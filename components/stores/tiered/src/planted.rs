//! Faults that the simulation of edges must find. They exist in a build for that test alone.

/// Whether this fault is planted.
#[cfg(feature = "planted")]
pub(crate) fn is(fault: &str) -> bool {
    let planted = crate::bindings::countersign::license::settings::get("planted");
    planted.is_ok_and(|planted| planted.as_deref() == Some(fault))
}

#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: &str) -> bool {
    false
}
