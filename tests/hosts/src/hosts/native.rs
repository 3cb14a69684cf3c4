//! `countersign serve`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{App, Fault, Setup};
use crate::artifacts;
use crate::process::Process;

/// The store, in the data directory.
const STORE: &str = "countersign.db";
/// The registrar's database, beside it.
const DATABASE: &str = "registrar.db";

pub(super) fn start(component: &Path, setup: &Setup, directory: &Path) -> Result<Process> {
    let binary = artifacts::countersign()?;
    let validator = artifacts::component("countersign-native.wasm")?;
    let cache = artifacts::component("")?.with_file_name("component-cache");
    Process::start(&directory.join("logs"), |address| {
        let mut command = Command::new(&binary);
        command.arg("serve").arg("--data").arg(directory.join("data")).arg("--listen").arg(address.to_string());
        match setup.app {
            App::Validator | App::Edge => command.arg("--component").arg(component).arg("--no-registrar"),
            App::Registrar | App::SqlContract => {
                command.arg("--component").arg(&validator).arg("--registrar").arg(component)
            }
            // In both places, because the host grants each app its own part of the store.
            App::Contract => command.arg("--component").arg(component).arg("--registrar").arg(component),
        };
        command.arg("--cache").arg(&cache);
        // The loser of a race may retry for longer than a validation's default deadline, and a busy
        // disk may be slow.
        command.args(["--deadline-ms", "20000"]);
        // All tests have one address, and many send unknown keys.
        command.args(["--free-unknown-keys", "0"]);
        for (name, value) in &setup.settings {
            // A secret is refused on the command line.
            command.env(format!("COUNTERSIGN_{}", name.to_uppercase()), value);
        }
        command
    })
}

/// Deletes the file of the running host's store or database, or replaces it with something else.
pub(super) fn break_store(setup: &Setup, directory: &Path) -> Result<()> {
    let is_sql = matches!(setup.app, App::Registrar | App::SqlContract);
    let database = directory.join("data").join(if is_sql { DATABASE } else { STORE });
    match setup.fault {
        None | Some(Fault::Denied) => {}
        Some(Fault::Unknown) => fs::remove_file(database)?,
        Some(Fault::Corrupt) => {
            fs::remove_file(&database)?;
            fs::write(&database, "not a database")?;
        }
    }
    Ok(())
}
