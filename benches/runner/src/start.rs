//! The time from a process's start to its first answer.

use std::path::Path;

use anyhow::Result;

use crate::{rounds::Plan, servers, statistics::Figure};

/// Seconds to the first answer of each server. The servers have run before, so their files are in
/// the kernel's cache, and the native host's component is compiled.
pub(crate) fn measure(directory: &Path, plan: &Plan) -> Result<Vec<(&'static str, Figure)>> {
    let mut starts: Vec<(&'static str, Vec<f64>)> = Vec::new();
    for _ in 0..plan.starts {
        for server in servers::start_all(directory)? {
            let seconds = server.process().ready_in.as_secs_f64();
            match starts.iter_mut().find(|(name, _)| *name == server.name) {
                Some((_, found)) => found.push(seconds),
                None => starts.push((server.name, vec![seconds])),
            }
        }
    }
    Ok(starts.into_iter().map(|(name, seconds)| (name, Figure::of(seconds))).collect())
}
