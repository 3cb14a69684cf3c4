//! The servers: Countersign on each of its hosts, and its peers.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use countersign_host_tests::{
    artifacts,
    hosts::{Host, Running, Setup},
    process::Process,
};
use serde_json::{Map, Value};

use crate::cases::{self, ACTIVATIONS, DOMAINS_100, DOMAINS_1000, FLOOR, HOT, LICENSES, MANY, OTHERS};

/// The server that all others are compared with.
pub(crate) const NATIVE: &str = "native host";

/// A running server. Dropping it ends it.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// The names of its cases.
    pub(crate) cases: Vec<&'static str>,
    pub(crate) is_peer: bool,
    runs: Runs,
}

enum Runs {
    Here(Process),
    Host(Running),
}

/// The peers that targets name.
pub(crate) const AXUM_MAP: &str = "axum, hash map";
pub(crate) const AXUM_CACHED: &str = "axum, cached SQLite";
pub(crate) const WORKERD_MAP: &str = "workerd, map in the isolate";
pub(crate) const WORKERD_KV: &str = "workerd, KV binding";
/// The hosts that targets name: a fresh instance for each request, over a store in memory.
pub(crate) const WASMTIME: &str = "wasmtime serve";
pub(crate) const SPIN_MEMORY: &str = "Spin, key-value in memory";

const AXUM: [(&str, &str); 3] = [(AXUM_MAP, "map"), (AXUM_CACHED, "cached"), ("axum, SQLite", "sqlite")];
const WORKERD: [(&str, &str); 2] = [(WORKERD_MAP, "map"), (WORKERD_KV, "kv")];
/// The other hosts, with their arguments.
const HOSTS: [(&str, Host, &[&str]); 6] = [
    (WASMTIME, Host::Wasmtime, &RESIDENT),
    ("wasmtime serve, as it is", Host::Wasmtime, &[POOLED]),
    ("wasmtime serve, reused", Host::Wasmtime, &[POOLED, "--max-instance-reuse-count=10000"]),
    ("Viceroy", Host::Viceroy, &[]),
    ("Spin, key-value", Host::Spin, &[]),
    ("Spin, SQLite", Host::SpinSqlite, &[]),
];
/// The default where it is available. As an option, it is an error where it is not.
const POOLED: &str = "-Opooling-allocator";
/// The options of `docs/hosts.md`: memory that an instance touched stays mapped for the next.
const RESIDENT: [&str; 4] = [
    POOLED,
    "-Opooling-memory-keep-resident=2097152",
    "-Opooling-table-keep-resident=65536",
    "-Opooling-pagemap-scan=auto",
];

/// Starts all servers that are installed, each with its own store, and prints those that are not.
pub(crate) fn start_all(directory: &Path) -> Result<Vec<Server>> {
    let mut servers = vec![
        native(&directory.join("native"), LICENSES, &BARE)?,
        Server {
            name: "native host, journal and registrar",
            cases: vec![FLOOR, HOT],
            ..native(&directory.join("whole"), LICENSES, &[])?
        },
    ];
    for (name, host, arguments) in HOSTS {
        if host.is_there() {
            let arguments = arguments.iter().copied().map(str::to_owned).collect();
            servers.push(self::host(name, host, vec![cases::entry(0, 1)?], arguments)?);
        }
    }
    if Host::Spin.is_there() {
        servers.push(spin_in_memory(directory)?);
    } else {
        eprintln!("SKIPPED: Spin, because `spin` is not on PATH");
    }
    for (name, rows) in AXUM {
        servers.push(axum(directory, name, rows)?);
    }
    if env::var_os("COUNTERSIGN_WORKERD").is_some() {
        for (name, config) in WORKERD {
            servers.push(workerd(directory, name, config)?);
        }
    } else {
        eprintln!("SKIPPED: workerd, because node and npm are not on PATH");
    }
    Ok(servers)
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        self.process().address
    }

    pub(crate) fn group(&self) -> i32 {
        self.process().group()
    }

    pub(crate) fn process(&self) -> &Process {
        match &self.runs {
            Runs::Here(process) => process,
            Runs::Host(running) => &running.process,
        }
    }
}

/// The native host as a server of licence checks alone, as the peers are. Without these options it
/// has a journal, and a registrar that counts the journal's events.
pub(crate) const BARE: [&str; 3] = ["--no-registrar", "--journal", "none"];

/// The native host over `licenses` licences.
pub(crate) fn native(directory: &Path, licenses: u64, options: &[&str]) -> Result<Server> {
    let data = directory.join("data");
    cases::fill(&data, licenses)?;
    let binary = artifacts::countersign()?;
    let component = artifacts::component("countersign-native.wasm")?;
    let registrar = artifacts::component("countersign-registrar-native.wasm")?;
    let process = Process::start(&directory.join("logs"), |address| {
        let mut command = Command::new(&binary);
        command.arg("serve").arg("--data").arg(&data).arg("--listen").arg(address.to_string());
        command.arg("--component").arg(&component).args(options).env("COUNTERSIGN_REGISTRAR", &registrar);
        // All load comes from one address, and has to be answered alike.
        command.args(["--free-unknown-keys", "0", "--max-connections-per-address", "900"]);
        command
    })?;
    let cases = [&[FLOOR, HOT, MANY][..], &OTHERS, &[DOMAINS_100, DOMAINS_1000, ACTIVATIONS]].concat();
    Ok(Server { name: NATIVE, cases, is_peer: false, runs: Runs::Here(process) })
}

/// One of the other hosts. Its store has only the licence of the hot row, because some hosts fill
/// their store for each request.
fn host(name: &'static str, host: Host, entries: Vec<(String, String)>, arguments: Vec<String>) -> Result<Server> {
    let running = host.start(&Setup { entries, arguments, ..Setup::default() })?;
    Ok(Server { name, cases: vec![FLOOR, HOT], is_peer: false, runs: Runs::Host(running) })
}

/// Spin with a store in memory: a store without a path, which the command line fills.
fn spin_in_memory(directory: &Path) -> Result<Server> {
    let config = directory.join("spin-runtime.toml");
    fs::write(&config, "[key_value_store.default]\ntype = \"spin\"\n")?;
    let (key, value) = cases::entry(0, 1)?;
    let config = format!("--runtime-config-file={}", config.display());
    host(SPIN_MEMORY, Host::Spin, Vec::new(), vec![config, format!("--key-value={key}={value}")])
}

/// `benches/peers/axum`, over its own database.
fn axum(directory: &Path, name: &'static str, rows: &str) -> Result<Server> {
    let directory = directory.join(format!("axum-{rows}"));
    let database = cases::fill(&directory.join("data"), LICENSES)?;
    let binary = given("COUNTERSIGN_PEER_AXUM")?;
    let process = Process::start(&directory.join("logs"), |address| {
        let mut command = Command::new(&binary);
        command.arg("--database").arg(&database);
        command.args(["--rows", rows, "--listen", &address.to_string()]);
        command
    })?;
    Ok(Server { name, cases: vec![FLOOR, HOT, MANY], is_peer: true, runs: Runs::Here(process) })
}

/// `benches/peers/workerd`.
fn workerd(directory: &Path, name: &'static str, config: &str) -> Result<Server> {
    let directory = directory.join(format!("workerd-{config}"));
    fs::create_dir_all(&directory)?;
    for file in fs::read_dir(given("COUNTERSIGN_PEER_WORKERD")?)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "js" || extension == "capnp") {
            fs::copy(&file, directory.join(file.file_name().context("a file has a name")?))?;
        }
    }
    let licenses: Map<String, Value> =
        (0..LICENSES).map(|number| Ok((cases::key(number)?, cases::record(number, 1)))).collect::<Result<_>>()?;
    fs::write(directory.join("licenses.json"), Value::Object(licenses).to_string())?;
    let binary = given("COUNTERSIGN_WORKERD")?;
    let process = Process::start(&directory.join("logs"), |address| {
        let mut command = Command::new(&binary);
        command.current_dir(&directory).args(["serve", "config.capnp", config]);
        command.arg("--socket-addr").arg(format!("http={address}"));
        command
    })?;
    Ok(Server { name, cases: vec![FLOOR, HOT, MANY], is_peer: true, runs: Runs::Here(process) })
}

fn given(variable: &str) -> Result<PathBuf> {
    env::var_os(variable).map(PathBuf::from).with_context(|| format!("{variable} is not set: run `cargo xtask bench`"))
}
