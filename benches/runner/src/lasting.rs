//! The growth of the native host's memory over a million validations of ten thousand licences, with
//! its journal and its registrar.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{
    cases::{Case, LICENSES, MANY},
    load::{Length, Load},
    machine, servers,
};

/// Requests after which pools and caches are full.
pub(crate) const SETTLED: u32 = 100_000;
/// Further requests.
pub(crate) const LASTING: u32 = 1_000_000;

/// Resident memory, in bytes, after [`SETTLED`] requests and after [`LASTING`] more.
pub(crate) struct Resident {
    pub(crate) settled: u64,
    pub(crate) later: u64,
}

/// Sends the requests to a new host.
pub(crate) fn measure(directory: &Path, cases: &[Case], connections: u32) -> Result<Resident> {
    eprintln!("lasting: {} requests", SETTLED + LASTING);
    let case = cases.iter().find(|case| case.name == MANY).context("there is no case over many rows")?;
    let server = servers::native(&directory.join("lasting"), LICENSES, &["--journal", "/dev/null"])?;
    let after = |requests| {
        Load { connections, length: Length::Requests(requests), rate: None }.run(&server, case)?;
        machine::resident(&server)
    };
    Ok(Resident { settled: after(SETTLED)?, later: after(LASTING)? })
}
