//! What a guest can reach: `store`, `settings`, `journal`, and of WASI two clocks and the wait for one of them.
//!
//! A component that imports anything else, such as files, sockets, an environment or output, is refused when it is loaded.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::io::poll;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::store::{Capabilities, Entry, Error, Expectation, Outcome, Page};
use crate::bindings::{App, journal, settings, store};
use crate::database::Database;
use crate::journal::Journal;
use crate::limits::MAX_GUEST_MEMORY;
use crate::settings::Settings;
use crate::store::Store;
use crate::writer::Writer;

/// What all instances share.
pub struct Imports {
    database: Arc<Database>,
    writer: Writer,
    settings: Settings,
    journal: Journal,
}

/// What one instance has to itself.
pub(crate) struct Guest {
    imports: Arc<Imports>,
    wasi: WasiCtx,
    resources: ResourceTable,
    pub(crate) limits: StoreLimits,
}

impl Imports {
    /// The store is that of the data directory; it is opened at the first call.
    pub fn new(directory: PathBuf, settings: Settings, journal: Journal) -> io::Result<Self> {
        let database = Arc::new(Database::new(directory));
        let writer = Writer::start(database.clone())?;
        Ok(Self { database, writer, settings, journal })
    }
}

impl Guest {
    pub(crate) fn new(imports: Arc<Imports>) -> Self {
        Self {
            imports,
            wasi: WasiCtx::builder().build(),
            resources: ResourceTable::new(),
            limits: StoreLimitsBuilder::new().memory_size(MAX_GUEST_MEMORY).trap_on_grow_failure(true).build(),
        }
    }

    /// Gives components these imports and no others.
    pub(crate) fn link(linker: &mut Linker<Self>) -> wasmtime::Result<()> {
        App::add_to_linker::<_, HasSelf<Self>>(linker, |guest| guest)?;
        wall_clock::add_to_linker::<_, WasiClocks>(linker, WasiClocksView::clocks)?;
        monotonic_clock::add_to_linker::<_, WasiClocks>(linker, WasiClocksView::clocks)?;
        poll::add_to_linker::<_, HasSelf<ResourceTable>>(linker, |guest| &mut guest.resources)
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
        self.imports.database.get(&key)
    }

    async fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        ttl: Option<u32>,
    ) -> Result<Outcome, Error> {
        self.imports.writer.put(key, value, expect, ttl).await
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        self.imports.writer.delete(key).await
    }

    fn list_keys(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Result<Page, Error> {
        self.imports.database.list_keys(&prefix, cursor.as_deref(), limit)
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
    fn append(&mut self, event: String) {
        self.imports.journal.append(event);
    }
}
