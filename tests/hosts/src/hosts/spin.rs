//! Spin, with either of its stores and either of its shells.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use countersign::routes::{COLLECTIONS, OPENAPI};
use serde_json::{Map, Value, json};

use super::{App, Fault, REPOSITORY, Setup};
use crate::artifacts;
use crate::process::Process;

pub(super) fn start(component: &Path, setup: &Setup, directory: &Path) -> Result<Process> {
    let binary = artifacts::spin().context("spin is not on PATH")?;
    let place = match (setup.repository_manifest, setup.app) {
        (false, _) => directory.to_owned(),
        (true, App::Edge) => Path::new(REPOSITORY).join("deploy/spin-edge"),
        (true, _) => REPOSITORY.into(),
    };
    let manifest = place.join("spin.toml");
    let variables = if setup.repository_manifest { &setup.settings[..] } else { &[] };
    if !setup.repository_manifest {
        fs::write(&manifest, toml::to_string(&self::manifest(component, setup)?)?)?;
    }
    let (state, logs) = (directory.join("state"), directory.join("logs"));
    if setup.fault == Some(Fault::Corrupt) {
        fs::create_dir_all(&state)?;
        for database in ["sqlite_key_value.db", "sqlite_db.db"] {
            fs::write(state.join(database), "not a database")?;
        }
    }
    Process::start(&logs, |address| {
        let mut command = Command::new(&binary);
        command.arg("up").arg("--from").arg(&manifest).arg("--listen").arg(address.to_string());
        // Without `--quiet`, a component's output is in the log directory and in Spin's output.
        command.arg("--quiet").arg("--state-dir").arg(&state).arg("--log-dir").arg(&logs);
        command.args(setup.exported.lines()).args(&setup.arguments);
        // A secret has no place on the command line.
        command.envs(variables.iter().map(|(name, value)| (format!("SPIN_VARIABLE_{}", name.to_uppercase()), value)));
        command
    })
}

/// Grants the component both stores, of which its adapter imports one, and no address. The
/// registrar gets the validator beside it.
fn manifest(component: &Path, setup: &Setup) -> Result<Value> {
    let stores: &[&str] = if setup.fault == Some(Fault::Denied) { &[] } else { &["default"] };
    let mut settings: Map<String, Value> =
        setup.settings.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    if setup.fault == Some(Fault::Unknown) {
        let label = if setup.app == App::SqlContract { "database" } else { "store" };
        settings.insert(label.into(), json!("elsewhere"));
    }
    let mut routes = vec![json!({ "route": "/...", "component": "countersign" })];
    let mut components = Map::from_iter([(
        "countersign".to_owned(),
        json!({ "source": component, "key_value_stores": stores, "sqlite_databases": stores, "variables": settings }),
    )]);
    if setup.app == App::Registrar {
        let below = COLLECTIONS.iter().map(|collection| format!("{collection}/..."));
        let registrars = below.chain([OPENAPI.to_owned()]);
        routes.extend(registrars.map(|route| json!({ "route": route, "component": "registrar" })));
        let registrar = components.remove("countersign").unwrap_or_default();
        components.insert("registrar".into(), registrar);
        let validator = artifacts::component("countersign-spin.wasm")?;
        components.insert("countersign".into(), json!({ "source": validator, "key_value_stores": stores }));
    }
    Ok(json!({
        "spin_manifest_version": 2,
        "application": { "name": "countersign", "version": "0.1.0" },
        "trigger": { "http": routes },
        "component": components,
    }))
}
