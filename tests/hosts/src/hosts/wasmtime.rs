//! `wasmtime serve`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Fault, Setup};
use crate::artifacts;
use crate::process::Process;

pub(super) fn start(component: &Path, setup: &Setup, directory: &Path) -> Result<Process> {
    let binary = artifacts::wasmtime()?;
    Process::start(&directory.join("logs"), |address| {
        let mut command = Command::new(&binary);
        command.arg("serve").arg("--addr").arg(address.to_string()).args(["-Scli", "-Skeyvalue"]);
        for (key, value) in &setup.entries {
            command.arg(entry(key, value));
        }
        command.args(setup.exported.lines()).args(&setup.arguments);
        for (name, value) in &setup.settings {
            command.arg("--env").arg(format!("COUNTERSIGN_{}={value}", name.to_uppercase()));
        }
        if setup.fault == Some(Fault::Unknown) {
            command.arg("--env").arg("COUNTERSIGN_STORE=elsewhere");
        }
        command.arg(component);
        command
    })
}

/// The argument that adds an entry to wasmtime's store. wasmtime splits it at commas and has no
/// escape, so the entry is percent-encoded and the adapter decodes it.
#[must_use]
pub fn entry(key: &str, value: &str) -> String {
    format!("-Skeyvalue-in-memory-data={key}={}", value.replace('%', "%25").replace(',', "%2C"))
}
