//! What a guest can reach: `store`, `settings`, `journal`, and of WASI two clocks and the wait for one of them. The registrar has
//! `sql` and randomness beside.
//!
//! A component that imports anything else, such as files, sockets, an environment or output, is refused when it is loaded. Of the store
//! each app writes its own part: what licences say is the registrar's, what has become of them the validator's.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use countersign::store_keys::{WRITTEN_BY_REGISTRAR, WRITTEN_BY_VALIDATOR};
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::io::poll;
use wasmtime_wasi::p2::bindings::random::random;
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::store::{Capabilities, Entry, Error, Expectation, Outcome, Page};
use crate::bindings::{App, journal, settings, sql, store};
use crate::database::Database;
use crate::journal::Journal;
use crate::settings::Settings;
use crate::sql::Sql;
use crate::store::Store;
use crate::writer::Writer;

/// What all instances of an app share.
pub struct Imports {
    shared: Arc<Shared>,
    settings: Settings,
    journal: Journal,
    grants: Grants,
}

/// The store of a data directory, as all apps of a process share it.
#[derive(Debug)]
pub struct Shared {
    database: Arc<Database>,
    writer: Writer,
}

/// What an app may do that another may not.
enum Grants {
    Validator,
    Registrar(Arc<Sql>),
}

/// What one instance has to itself.
pub(crate) struct Guest {
    imports: Arc<Imports>,
    wasi: WasiCtx,
    resources: ResourceTable,
    pub(crate) limits: StoreLimits,
}

/// Settings that only the registrar is told: they are its operators' tokens, `token` the one that the command line takes from the same
/// environment.
const SECRETS: [&str; 3] = ["admin_token", "host_token", "token"];

impl Shared {
    /// The store is that of the data directory; it is opened at the first call.
    pub fn new(directory: PathBuf) -> io::Result<Arc<Self>> {
        let database = Arc::new(Database::new(directory));
        let writer = Writer::start(database.clone())?;
        Ok(Arc::new(Self { database, writer }))
    }
}

impl Imports {
    /// What the validator is given.
    pub fn of_validator(shared: Arc<Shared>, settings: Settings, journal: Journal) -> Self {
        Self { shared, settings: settings.without(&SECRETS), journal, grants: Grants::Validator }
    }

    /// What the registrar is given.
    pub fn of_registrar(shared: Arc<Shared>, settings: Settings, journal: Journal, sql: Arc<Sql>) -> Self {
        Self { shared, settings, journal, grants: Grants::Registrar(sql) }
    }

    /// Gives components these imports and no others.
    pub(crate) fn link(&self, linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        App::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
        wall_clock::add_to_linker::<_, WasiClocks>(linker, WasiClocksView::clocks)?;
        monotonic_clock::add_to_linker::<_, WasiClocks>(linker, WasiClocksView::clocks)?;
        poll::add_to_linker::<_, HasSelf<ResourceTable>>(linker, |guest| &mut guest.resources)?;
        if let Grants::Registrar(_) = self.grants {
            sql::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
            random::add_to_linker::<_, WasiRandom>(linker, |guest| guest.wasi.random())?;
        }
        Ok(())
    }

    fn check_write(&self, key: &str) -> Result<(), Error> {
        let is_denied = match self.grants {
            Grants::Validator => WRITTEN_BY_REGISTRAR.iter().any(|prefix| key.starts_with(prefix)),
            Grants::Registrar(_) => WRITTEN_BY_VALIDATOR.iter().any(|prefix| key.starts_with(prefix)),
        };
        if is_denied { Err(Error::AccessDenied) } else { Ok(()) }
    }

    fn sql(&self) -> Result<&Arc<Sql>, sql::Error> {
        match &self.grants {
            Grants::Registrar(sql) => Ok(sql),
            Grants::Validator => Err(sql::Error::AccessDenied),
        }
    }
}

impl Guest {
    /// `memory` is the most that all its linear memories may have, in bytes.
    pub(crate) fn new(imports: Arc<Imports>, memory: usize) -> Self {
        Self {
            imports,
            wasi: WasiCtx::builder().build(),
            resources: ResourceTable::new(),
            limits: StoreLimitsBuilder::new().memory_size(memory).trap_on_grow_failure(true).build(),
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

/// Reads take microseconds and run where the guest runs; a write waits for the disk, and meanwhile the thread answers others.
impl store::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<Entry>, Error> {
        self.imports.shared.database.get(&key)
    }

    async fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        ttl: Option<u32>,
    ) -> Result<Outcome, Error> {
        self.imports.check_write(&key)?;
        self.imports.shared.writer.put(key, value, expect, ttl).await
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        self.imports.check_write(&key)?;
        self.imports.shared.writer.delete(key).await
    }

    fn list_keys(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Result<Page, Error> {
        self.imports.shared.database.list_keys(&prefix, cursor.as_deref(), limit)
    }

    fn describe(&mut self) -> Capabilities {
        Store::describe()
    }
}

impl settings::Host for Guest {
    fn get(&mut self, name: String) -> Result<Option<String>, settings::Error> {
        self.imports.settings.get(&name)
    }
}

impl journal::Host for Guest {
    fn append(&mut self, event: journal::Event) {
        self.imports.journal.append(event);
    }
}

/// A statement waits for its turn and for the disk, and runs on a thread of its own.
impl sql::Host for Guest {
    async fn query(&mut self, statement: sql::Statement) -> Result<Vec<sql::Row>, sql::Error> {
        self.imports.sql()?.query(statement).await
    }

    async fn execute(&mut self, statement: sql::Statement) -> Result<Vec<sql::Row>, sql::Error> {
        self.imports.sql()?.execute(statement).await
    }

    async fn batch(&mut self, statements: Vec<sql::Statement>) -> Result<sql::Outcome, sql::Error> {
        self.imports.sql()?.batch(statements).await
    }
}
