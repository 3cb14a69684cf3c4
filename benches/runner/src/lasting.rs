//! Whether anything grows: the native host's memory over a million validations of ten thousand
//! licences, with its journal and its registrar.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{
    cases::{Case, LICENSES, MANY},
    load::{Length, Load},
    machine, servers,
};

/// Requests until everything that is kept between requests is there.
pub(crate) const SETTLED: u32 = 100_000;
/// Requests after that.
pub(crate) const LASTING: u32 = 1_000_000;

/// Bytes of resident memory.
pub(crate) struct Resident {
    pub(crate) settled: u64,
    pub(crate) later: u64,
}

/// Sends them all to a host of its own.
pub(crate) fn measure(directory: &Path, cases: &[Case], connections: u32) -> Result<Resident> {
    eprintln!("lasting: {} requests", SETTLED + LASTING);
    let case = cases.iter().find(|case| case.name == MANY).context("no case is over many rows")?;
    let server = servers::native(&directory.join("lasting"), LICENSES, &["--journal", "/dev/null"])?;
    let after = |requests| {
        Load { connections, length: Length::Requests(requests), rate: None }.run(&server, case)?;
        machine::resident(&server)
    };
    Ok(Resident { settled: after(SETTLED)?, later: after(LASTING)? })
}
