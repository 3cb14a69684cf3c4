//! From the start of a process to its first answer.

use std::path::Path;

use anyhow::Result;

use crate::{rounds::Plan, servers, statistics::Figure};

/// Seconds to the first answer of each server. All are started in turn, so each has the files in
/// the kernel's cache that it had there before, and the native host its compiled component in its
/// own.
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
