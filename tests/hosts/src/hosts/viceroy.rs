//! Viceroy, which runs Fastly Compute locally.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{Fault, REPOSITORY, Setup};
use crate::artifacts;
use crate::process::Process;

pub(super) fn start(component: &Path, setup: &Setup, directory: &Path) -> Result<Process> {
    let binary = artifacts::viceroy()?;
    let (manifest, exported) = if setup.repository_manifest {
        // Its path of the file of licences is relative to the directory that Viceroy starts in.
        (Path::new(REPOSITORY).join("deploy/fastly/fastly.toml"), directory.join(".countersign/fastly.json"))
    } else {
        (directory.join("fastly.toml"), directory.join("licenses.json"))
    };
    if !setup.exported.is_empty() {
        fs::create_dir_all(exported.with_file_name(""))?;
        fs::write(&exported, &setup.exported)?;
    }
    if !setup.repository_manifest {
        fs::write(&manifest, toml::to_string(&self::manifest(setup, &exported))?)?;
    }
    Process::start(&directory.join("logs"), |address| {
        let mut command = Command::new(&binary);
        command.current_dir(directory);
        command.arg("-C").arg(&manifest).arg("--addr").arg(address.to_string()).arg(component);
        command
    })
}

fn manifest(setup: &Setup, exported: &Path) -> Value {
    let entries = setup.entries.iter().map(|(key, value)| json!({ "key": key, "data": value }));
    let licenses =
        if setup.exported.is_empty() { entries.collect() } else { json!({ "file": exported, "format": "json" }) };
    let mut settings: Map<String, Value> =
        setup.settings.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    if setup.fault == Some(Fault::Unknown) {
        settings.insert("store".into(), json!("elsewhere"));
    }
    json!({
        "manifest_version": 3,
        "name": "countersign",
        "local_server": {
            "kv_stores": { "licenses": licenses },
            "config_stores": { "countersign": { "format": "inline-toml", "contents": settings } },
        },
    })
}
