//! `countersign serve`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{App, Fault, Setup};
use crate::artifacts;
use crate::process::Process;

/// The store, in the data directory.
const DATABASE: &str = "countersign.db";

pub(super) fn start(component: &Path, setup: &Setup, directory: &Path) -> Result<Process> {
    let binary = artifacts::countersign()?;
    Process::start(&directory.join("logs"), |address| {
        let mut command = Command::new(&binary);
        command.arg("serve").arg("--data").arg(directory.join("data")).arg("--listen").arg(address.to_string());
        // The validator is what the binary serves of itself. In a race a loser may try for longer than a validation may take.
        if setup.app == App::Contract {
            command.arg("--component").arg(component).args(["--deadline-ms", "20000"]);
        }
        for (name, value) in &setup.settings {
            command.arg("--setting").arg(format!("{name}={value}"));
        }
        command
    })
}

/// Takes the database away from under the running host, or puts another one in its place.
pub(super) fn break_store(fault: Option<Fault>, directory: &Path) -> Result<()> {
    let database = directory.join("data").join(DATABASE);
    match fault {
        None | Some(Fault::Denied) => {}
        Some(Fault::Unknown) => fs::remove_file(database)?,
        Some(Fault::Replaced) => {
            fs::remove_file(&database)?;
            fs::write(&database, "not a database")?;
        }
    }
    Ok(())
}
