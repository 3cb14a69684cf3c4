//! `countersign serve`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Fault, Setup};
use crate::artifacts;
use crate::process::Process;

/// The store, in the data directory.
const DATABASE: &str = "countersign.db";

pub(super) fn start(component: &Path, setup: &Setup, directory: &Path) -> Result<Process> {
    let binary = artifacts::countersign()?;
    let cache = artifacts::component("")?.with_file_name("component-cache");
    Process::start(&directory.join("logs"), |address| {
        let mut command = Command::new(&binary);
        command.arg("serve").arg("--data").arg(directory.join("data")).arg("--listen").arg(address.to_string());
        command.arg("--component").arg(component).arg("--cache").arg(&cache);
        // In a race a loser may try for longer than a validation may take, and so may a disk that others write to.
        command.args(["--deadline-ms", "20000"]);
        for (name, value) in &setup.settings {
            command.arg("--setting").arg(format!("{name}={value}"));
        }
        command
    })
}

/// Takes the database away from under the running host, or puts something else in its place.
pub(super) fn break_store(fault: Option<Fault>, directory: &Path) -> Result<()> {
    let database = directory.join("data").join(DATABASE);
    match fault {
        None | Some(Fault::Denied) => {}
        Some(Fault::Unknown) => fs::remove_file(database)?,
        Some(Fault::Corrupt) => {
            fs::remove_file(&database)?;
            fs::write(&database, "not a database")?;
        }
    }
    Ok(())
}
