//! The registrar for a program that is not a server, such as the command line.

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
/// A server may run on the same directory: each sees at once what the other has written.
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

/// Why a data directory's registrar cannot be opened. The texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory has no store, or the store cannot be used.
    #[error(transparent)]
    Store(#[from] ReaderError),
    /// The component's file was not found.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The component or its database cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The system refused a thread or a file.
    #[error("cannot start the registrar: {0}")]
    Io(#[from] io::Error),
    /// The engine cannot be started.
    #[error("cannot start the registrar's engine: {0:#}")]
    Engine(wasmtime::Error),
}

impl Local {
    /// Opens the registrar of a data directory that has a store. Creates the registrar's own
    /// database if it does not exist.
    ///
    /// `component` is the component's file; without it, [`components::find`] looks for the file.
    /// The compiled component is cached in the directory `cache`, or else in `data`'s `cache`.
    ///
    /// # Errors
    /// [`OpenError`]; with [`ReaderError::NoStore`] if the directory has no store.
    pub fn open(data: &Path, component: Option<&Path>, cache: Option<&Path>) -> Result<Self, OpenError> {
        Store::open(data, COMMAND_BUSY_TIMEOUT).map_err(ReaderError::from)?;
        Self::start(data, component, cache)
    }

    /// As [`open`](Self::open), but creates the directory and its store if they do not exist.
    ///
    /// # Errors
    /// [`OpenError`].
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

    /// Sends one request with all rights, and returns the answer, whatever its status.
    ///
    /// `target` is the path with its query: `/api/v1/licenses?limit=5`. The names in `headers` are
    /// in lower case. A body is sent as `application/json` unless they have another `content-type`.
    ///
    /// # Errors
    /// [`Failure`] if there is no answer. Whether the request was carried out is then unknown.
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
