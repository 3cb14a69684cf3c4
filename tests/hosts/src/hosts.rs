//! The hosts, one file each, and what they share.

mod native;
mod spin;
mod viceroy;
mod wasmtime;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tempfile::TempDir;

pub use self::wasmtime::entry as wasmtime_entry;
use crate::artifacts;
use crate::client;
use crate::process::Process;
use crate::store::{Capabilities, Expect, Outcome, Store};

/// A host with a store adapter and a shell on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// `countersign serve`: its own server and its own SQLite.
    Native,
    /// `wasmtime serve`: shell `wasi-http`, store `wasi-keyvalue`.
    Wasmtime,
    /// Viceroy, which runs Fastly Compute locally: shell `fastly`, store `fastly-kv`.
    Viceroy,
    /// Spin: shell `wasi-http`, store `spin-kv`.
    Spin,
    /// Spin: shell `wasi-http`, store `spin-sqlite`.
    SpinSqlite,
    /// Spin: shell `spin` on WASI 0.3, store `spin-kv`.
    Spin3,
}

/// The component that a host serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum App {
    /// The validator.
    #[default]
    Validator,
    /// The validator and the registrar, each on its own paths.
    Registrar,
    /// The validator of an edge, on Spin.
    Edge,
    /// The guest `store-contract`, which exposes the store over HTTP.
    Contract,
    /// The guest `sql-contract`, which exposes the database over HTTP.
    SqlContract,
}

/// Why a host's store or database cannot answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The configuration names one that does not exist. On the native host its file is deleted.
    Unknown,
    /// The manifest does not grant it to the component.
    Denied,
    /// Its file is not a database.
    Corrupt,
}

/// What to start a host with.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The component that it serves.
    pub app: App,
    /// Why its store cannot answer, if so.
    pub fault: Option<Fault>,
    /// The store's entries: keys and values.
    pub entries: Vec<(String, String)>,
    /// The output of `countersign export` for this host, used as its help says.
    pub exported: String,
    /// The operator's settings, by name.
    pub settings: Vec<(String, String)>,
    /// Further arguments of `wasmtime serve` or `spin up`.
    pub arguments: Vec<String>,
    /// Whether to use the repository's manifest for the host and the app rather than one for the
    /// test. On Spin, the settings are its variables then.
    pub repository_manifest: bool,
}

/// A running host that answers. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub process: Process,
    /// The host's data, manifest and logs.
    pub directory: TempDir,
}

/// The root of the repository.
const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

impl Host {
    /// All hosts.
    pub const ALL: [Self; 6] = [Self::Native, Self::Wasmtime, Self::Viceroy, Self::Spin, Self::SpinSqlite, Self::Spin3];

    /// The host's name in trials.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasmtime => "wasmtime",
            Self::Viceroy => "viceroy",
            Self::Spin => "spin",
            Self::SpinSqlite => "spin-sqlite",
            Self::Spin3 => "spin3",
        }
    }

    /// Whether it is installed. Only Spin may be missing.
    #[must_use]
    pub fn is_there(self) -> bool {
        !matches!(self, Self::Spin | Self::SpinSqlite | Self::Spin3) || artifacts::spin().is_some()
    }

    /// The capabilities that its store adapter must report.
    #[must_use]
    pub fn capabilities(self) -> Capabilities {
        let (name, compare_and_swap, ttl, lists, ordered_list, staleness_seconds) = match self {
            Self::Native => ("native-sqlite", "atomic", true, true, true, 0),
            Self::Wasmtime => ("wasi-keyvalue", "read-only", false, true, true, 0),
            Self::Viceroy => ("fastly-kv", "best-effort", true, true, false, 60),
            Self::Spin | Self::Spin3 => ("spin-kv", "best-effort", false, true, true, 60),
            Self::SpinSqlite => ("spin-sqlite", "atomic", true, true, true, 0),
        };
        let (name, compare_and_swap) = (name.to_owned(), compare_and_swap.to_owned());
        Capabilities { name, compare_and_swap, ttl, lists, ordered_list, staleness_seconds }
    }

    /// The faults that its store can be given, each with the case of `store`'s error that results.
    #[must_use]
    pub fn faults(self) -> &'static [(Fault, &'static str)] {
        match self {
            Self::Native => &[(Fault::Unknown, "no-such-store"), (Fault::Corrupt, "other")],
            Self::Wasmtime | Self::Viceroy => &[(Fault::Unknown, "no-such-store")],
            // Spin refuses to start with a label that its configuration lacks, and denies all
            // others.
            Self::Spin | Self::SpinSqlite | Self::Spin3 => {
                &[(Fault::Unknown, "access-denied"), (Fault::Denied, "access-denied"), (Fault::Corrupt, "other")]
            }
        }
    }

    fn component(self, app: App) -> Result<&'static str> {
        Ok(match (app, self) {
            (App::Validator, Self::Native) => "countersign-native.wasm",
            (App::Validator, Self::Wasmtime) => "countersign-wasi.wasm",
            (App::Validator, Self::Viceroy) => "countersign-fastly.wasm",
            (App::Validator, Self::Spin) => "countersign-spin.wasm",
            (App::Validator, Self::SpinSqlite) => "countersign-spin-sqlite.wasm",
            (App::Validator, Self::Spin3) => "countersign-spin3.wasm",
            (App::Edge, Self::Spin) => "countersign-edge-spin.wasm",
            (App::Edge, _) => bail!("there is no edge for {}", self.name()),
            (App::Registrar, Self::Native) => "countersign-registrar-native.wasm",
            (App::Registrar, Self::Spin) => "countersign-registrar-spin.wasm",
            (App::SqlContract, Self::Native) => "tests/sql-contract-native.wasm",
            (App::SqlContract, Self::Spin) => "tests/sql-contract-spin.wasm",
            (App::Registrar | App::SqlContract, _) => bail!("{} has no SQL database", self.name()),
            (App::Contract, Self::Native) => "tests/contract-native.wasm",
            (App::Contract, Self::Wasmtime) => "tests/contract-wasi.wasm",
            (App::Contract, Self::Viceroy) => "tests/contract-fastly.wasm",
            (App::Contract, Self::Spin | Self::Spin3) => "tests/contract-spin-kv.wasm",
            (App::Contract, Self::SpinSqlite) => "tests/contract-spin-sqlite.wasm",
        })
    }

    /// Starts it and waits until it answers.
    pub fn start(self, setup: &Setup) -> Result<Running> {
        let directory = tempfile::Builder::new().prefix("countersign-test-").tempdir()?;
        let component = artifacts::component(self.component(setup.app)?)?;
        let path = directory.path();
        let process = match self {
            Self::Native => {
                self.fill(path, &setup.entries)?;
                let process = native::start(&component, setup, path)?;
                native::break_store(setup, path)?;
                if setup.fault.is_some() {
                    // The store is open since the start, and opened again after a call failed.
                    let call = br#"{"op":"get","key":"x"}"#;
                    for (method, path, body) in [("GET", "/readyz", &b""[..]), ("POST", "/store", call)] {
                        let _ = client::send(process.address, method, path, &[], body);
                    }
                }
                process
            }
            Self::Wasmtime => wasmtime::start(&component, setup, path)?,
            Self::Viceroy => viceroy::start(&component, setup, path)?,
            Self::Spin | Self::SpinSqlite | Self::Spin3 => {
                self.fill(path, &setup.entries)?;
                let mut setup = setup.clone();
                if self == Self::SpinSqlite && !setup.exported.is_empty() {
                    let statements = path.join("licences.sql");
                    fs::write(&statements, setup.exported)?;
                    setup.exported = format!("--sqlite\n@{}", statements.display());
                }
                spin::start(&component, &setup, path)?
            }
        };
        Ok(Running { process, directory })
    }

    /// Starts a second process on the data of a running one.
    pub fn start_beside(self, running: &Running, setup: &Setup) -> Result<Running> {
        let directory = tempfile::Builder::new().prefix("countersign-test-").tempdir()?;
        let data = if self == Self::Native { "data" } else { "state" };
        symlink(running.directory.path().join(data), directory.path().join(data))?;
        self.start_on(directory, setup)
    }

    /// Starts it in a directory with the data of an earlier run.
    pub fn start_on(self, directory: TempDir, setup: &Setup) -> Result<Running> {
        let component = artifacts::component(self.component(setup.app)?)?;
        let process = match self {
            Self::Native => native::start(&component, setup, directory.path())?,
            Self::Spin | Self::SpinSqlite | Self::Spin3 => spin::start(&component, setup, directory.path())?,
            Self::Wasmtime | Self::Viceroy => bail!("the store of {} is not persistent", self.name()),
        };
        Ok(Running { process, directory })
    }

    /// Writes the entries through the store adapter, on hosts whose store is persistent.
    fn fill(self, path: &Path, entries: &[(String, String)]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let setup = Setup { app: App::Contract, ..Setup::default() };
        let component = artifacts::component(self.component(App::Contract)?)?;
        let process = match self {
            Self::Native => native::start(&component, &setup, path)?,
            _ => spin::start(&component, &setup, path)?,
        };
        let store = Store { address: process.address };
        for (key, value) in entries {
            let outcome = store
                .put(key, value, Expect::Any)
                .and_then(|answered| answered.map_err(|error| anyhow!("{error:?}")))
                .with_context(|| format!("cannot fill the store of {}\n{}", self.name(), process.log()))?;
            ensure!(matches!(outcome, Outcome::Stored(_)), "an unconditional write conflicted: {outcome:?}");
        }
        Ok(())
    }
}

impl Running {
    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.process.address
    }
}
