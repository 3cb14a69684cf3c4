//! `cargo xtask up`: from a fresh clone to a server that answers.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::{SocketAddr, TcpListener},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    compose::{self, Set},
    run::{cargo, output, root, run, target_directory},
};

/// Sets up, builds, issues a sample licence on the first run, and becomes the server.
pub(crate) fn up(listen: SocketAddr, data: Option<PathBuf>) -> Result<()> {
    // Said before the build rather than after it; a free port is picked here, so that the line to try can name it.
    let listen = TcpListener::bind(listen).and_then(|listener| listener.local_addr());
    let listen = listen.context("the address to listen on cannot be had (try `--listen 127.0.0.1:0`)")?;

    compose::compose(Set::Native, false)?;
    let server = build_host()?;
    let data = data.unwrap_or_else(|| root().join(".countersign"));
    let key = sample_key(&server, &data)?;

    println!();
    println!("sample licence  {key}  (product `sample`, plan `pro`, for example.com and below)");
    println!(
        "try it          curl -s http://{listen}/api/v1/validate -d '{{\"key\":\"{key}\",\"domain\":\"example.com\"}}'"
    );
    println!("revoke it       {} revoke --data {} {key}", server.display(), data.display());
    println!();
    let error = Command::new(server)
        .args(["serve", "--listen", &listen.to_string(), "--data"])
        .arg(&data)
        .arg("--component")
        .arg(compose::directory().join("countersign-native.wasm"))
        .arg("--registrar")
        .arg(registrar())
        .exec();
    Err(error).context("the server cannot be started")
}

/// Builds the command line, which has the native host in it, and returns its program.
pub(crate) fn build_host() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--package", "countersign-cli"]))?;
    Ok(target_directory()?.join("release/countersign"))
}

fn registrar() -> PathBuf {
    compose::directory().join("countersign-registrar-native.wasm")
}

/// The key of the licence made on the first run. Keys are stored nowhere else: this one is kept, for its owner alone to read, because it
/// is a sample.
fn sample_key(server: &Path, data: &Path) -> Result<String> {
    let file = data.join("sample.json");
    if !file.exists() {
        let issued = output(
            Command::new(server)
                .args(["issue", "--json", "--product", "sample", "--plan", "pro", "--domain", "example.com"])
                .args(["--feature", "export", "--data"])
                .arg(data)
                .arg("--registrar")
                .arg(registrar()),
        )?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?.write_all(issued.as_bytes())?;
    }
    let sample: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    let key = sample["key"].as_str().with_context(|| format!("{} holds no key: remove it", file.display()))?;
    Ok(key.to_owned())
}
