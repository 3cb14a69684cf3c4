//! Spin, with either of its stores and either of its shells.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::{Fault, REPOSITORY, Setup};
use crate::artifacts;
use crate::process::Process;

pub(super) fn start(component: &Path, setup: &Setup, directory: &Path) -> Result<Process> {
    let binary = artifacts::spin().context("spin is not on PATH")?;
    let manifest = if setup.repository_manifest { Path::new(REPOSITORY) } else { directory }.join("spin.toml");
    if !setup.repository_manifest {
        fs::write(&manifest, toml::to_string(&self::manifest(component, setup))?)?;
    }
    let logs = directory.join("logs");
    Process::start(&logs, |address| {
        let mut command = Command::new(&binary);
        command.arg("up").arg("--from").arg(&manifest).arg("--listen").arg(address.to_string());
        // Without `--quiet`, what a component prints is in the log directory and in the output.
        command.arg("--quiet").arg("--state-dir").arg(directory.join("state")).arg("--log-dir").arg(&logs);
        command.args(setup.exported.lines()).args(&setup.arguments);
        command
    })
}

/// Gives the component both stores: each adapter takes its own.
fn manifest(component: &Path, setup: &Setup) -> Value {
    let stores: &[&str] = if setup.fault == Some(Fault::Denied) { &[] } else { &["default"] };
    let mut settings: Map<String, Value> =
        setup.settings.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    if setup.fault == Some(Fault::Unknown) {
        settings.insert("store".into(), json!("elsewhere"));
    }
    json!({
        "spin_manifest_version": 2,
        "application": { "name": "countersign", "version": "0.1.0" },
        "trigger": { "http": [{ "route": "/...", "component": "countersign" }] },
        "component": {
            "countersign": {
                "source": component,
                "key_value_stores": stores,
                "sqlite_databases": stores,
                "variables": settings,
            },
        },
    })
}
