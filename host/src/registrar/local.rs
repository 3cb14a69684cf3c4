//! The registrar for a program that serves nobody: the command line on a data directory.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use super::{LoadError, Registrar};
use crate::bindings::service::Response;
use crate::components::{self, Missing};
use crate::engine::{Failure, Machine};
use crate::imports::{
    journal::{Destination, Journal},
    settings::Settings,
    store::{ReaderError, Shared, Store},
};
use crate::limits::COMMAND_BUSY_TIMEOUT;

/// The registrar of a data directory, in this process.
///
/// It may be used beside a server on the same directory: each sees at once what the other has written.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use countersign_host::registrar::Local;
///
/// let registrar = Local::open("data".as_ref(), None, None)?;
/// let answer = registrar.call("GET", "/api/v1/licenses?limit=5", &[], Vec::new())?;
/// assert_eq!(answer.status, 200);
/// let answer = registrar.call("POST", "/api/v1/products", &[], br#"{"code":"acme"}"#.to_vec())?;
/// assert_eq!(answer.status, 201);
/// # Ok(())
/// # }
/// ```
pub struct Local {
    registrar: Registrar,
    runtime: Runtime,
}

/// Why a data directory's registrar cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no store, or it cannot be used.
    #[error(transparent)]
    Store(#[from] ReaderError),
    /// The component's file is not there.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The component cannot be run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Threads or files are lacking.
    #[error("the registrar cannot be started: {0}")]
    Io(#[from] io::Error),
    /// The engine cannot be started.
    #[error("the registrar's engine cannot be started: {0:#}")]
    Engine(wasmtime::Error),
}

impl Local {
    /// The registrar of a data directory that has a store; its own database is made if it is not there.
    ///
    /// `component` is the component's file, if that is not to be found (see [`components::find`]). It is compiled once, and kept in `cache`,
    /// or in the directory's `cache` if none is given.
    pub fn open(data: &Path, component: Option<&Path>, cache: Option<&Path>) -> Result<Self, OpenError> {
        Store::open(data, COMMAND_BUSY_TIMEOUT).map_err(ReaderError::from)?;
        Self::start(data, component, cache)
    }

    /// As [`open`](Self::open); makes the directory and its store if they are not there.
    pub fn create(data: &Path, component: Option<&Path>, cache: Option<&Path>) -> Result<Self, OpenError> {
        Store::create(data, COMMAND_BUSY_TIMEOUT).map_err(ReaderError::from)?;
        Self::start(data, component, cache)
    }

    fn start(data: &Path, component: Option<&Path>, cache: Option<&Path>) -> Result<Self, OpenError> {
        let component = match component {
            Some(file) => file.to_owned(),
            None => components::find(components::REGISTRAR, "--registrar")?,
        };
        let cache = cache.map_or_else(|| data.join("cache"), Path::to_owned);
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let machine = Machine::new(Some(&cache), 1).map_err(OpenError::Engine)?;
        let (journal, _) = Journal::start(&Destination::None, None)?;
        let settings = Settings::of_process(&[]);
        let shared = Arc::new(Shared::new(data.to_owned())?);
        let registrar = Registrar::load(&machine, &component, data, shared, settings, journal);
        let registrar = runtime.block_on(registrar)?;
        Ok(Self { registrar, runtime })
    }

    /// Sends one request, as an operator with all rights: `target` is the path with its query, `/api/v1/licenses?limit=5`. A body goes as
    /// `application/json` unless `headers`, whose names are in lower case, say otherwise.
    ///
    /// The answer is that of the server, whatever its status; [`Failure`] where there is none, and where it is not known what was done.
    pub fn call(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Response, Failure> {
        self.runtime.block_on(self.registrar.engine.call(&self.registrar.request(method, target, headers, body)))
    }
}
