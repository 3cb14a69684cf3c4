//! What a component can reach: `store`, `settings`, `journal`, and from WASI two clocks and the
//! wait for one of them. The registrar also has `sql` and random bits.
//!
//! # Design decisions
//! - A component that imports anything else, such as files, sockets, an environment or output, does
//!   not load.
//! - What an app may do is data ([`Grants`]). Each app writes its own part of the store:
//!   only the registrar writes licences, and only the validator writes operations. Only the
//!   registrar may read the settings that are secrets, and only for it the interface `sql` is
//!   linked at all.

pub mod counts;
mod edge;
mod grants;
pub mod journal;
pub mod settings;
pub mod sql;
pub(crate) mod sqlite_file;
pub mod store;

use std::sync::Arc;

use countersign::secret;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::io::poll;
use wasmtime_wasi::p2::bindings::random::random;
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub use self::grants::Grants;
use self::journal::Journal;
use self::settings::Settings;
use self::sql::Sql;
use self::store::{Shared, Store};
use crate::bindings::store::{Capabilities, Error, Expectation, Freshness, Lookup, Outcome, Page};
use crate::bindings::{self, App};
use crate::edge::{TOKEN, URL};

/// What all instances of an app share.
pub struct Imports {
    store: Arc<Shared>,
    settings: Settings,
    journal: Journal,
    pub(crate) grants: Grants,
}

/// What each instance has to itself.
pub(crate) struct Guest {
    imports: Arc<Imports>,
    wasi: WasiCtx,
    resources: ResourceTable,
    pub(crate) limits: StoreLimits,
}

impl Imports {
    /// The imports of one app.
    pub fn new(store: Arc<Shared>, settings: Settings, journal: Journal, grants: Grants) -> Self {
        let settings = if grants.secrets { settings } else { settings.without(&secret::SETTINGS) };
        let settings = match &grants.origin {
            Some(origin) => settings.with(URL, origin.base().into()).with(TOKEN, origin.token().into()),
            None => settings,
        };
        Self { store, settings, journal, grants }
    }

    /// Links these imports, and no others.
    pub(crate) fn link(&self, linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        App::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
        wall_clock::add_to_linker::<_, WasiClocks>(linker, WasiClocksView::clocks)?;
        monotonic_clock::add_to_linker::<_, WasiClocks>(linker, WasiClocksView::clocks)?;
        poll::add_to_linker::<_, HasSelf<ResourceTable>>(linker, |guest| &mut guest.resources)?;
        if self.grants.sql.is_some() {
            bindings::sql::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
        }
        if self.grants.origin.is_some() {
            bindings::near::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
            bindings::fetch::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
        }
        if self.grants.random {
            random::add_to_linker::<_, WasiRandom>(linker, |guest| guest.wasi.random())?;
        }
        Ok(())
    }

    fn sql(&self) -> Result<&Arc<Sql>, bindings::sql::Error> {
        self.grants.sql.as_ref().ok_or(bindings::sql::Error::AccessDenied)
    }
}

impl Guest {
    /// `memory` bounds the bytes of all its linear memories together.
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

/// A read takes microseconds and runs on the guest's thread. A write waits for the disk as a task,
/// so the thread answers other requests in the meantime.
impl bindings::store::Host for Guest {
    fn get(&mut self, key: String, _: Freshness) -> Result<Lookup, Error> {
        Ok(Lookup { entry: self.imports.store.get(&key)?, age_seconds: 0, stale: false })
    }

    async fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        ttl: Option<u32>,
    ) -> Result<Outcome, Error> {
        self.imports.grants.check_write(&key)?;
        self.imports.store.put(key, value, expect, ttl).await
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        self.imports.grants.check_write(&key)?;
        self.imports.store.delete(key).await
    }

    fn list_keys(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Result<Page, Error> {
        self.imports.store.list_keys(&prefix, cursor.as_deref(), limit)
    }

    fn describe(&mut self) -> Capabilities {
        Store::describe()
    }
}

impl bindings::settings::Host for Guest {
    fn get(&mut self, name: String) -> Result<Option<String>, bindings::settings::Error> {
        self.imports.settings.get(&name)
    }
}

impl bindings::journal::Host for Guest {
    fn append(&mut self, event: bindings::journal::Event) {
        self.imports.journal.append(event);
    }
}

/// A statement waits as a task, and runs on a thread for blocking work.
impl bindings::sql::Host for Guest {
    async fn query(
        &mut self,
        statement: bindings::sql::Statement,
    ) -> Result<Vec<bindings::sql::Row>, bindings::sql::Error> {
        self.imports.sql()?.query(statement).await
    }

    async fn execute(
        &mut self,
        statement: bindings::sql::Statement,
    ) -> Result<Vec<bindings::sql::Row>, bindings::sql::Error> {
        self.imports.sql()?.execute(statement).await
    }

    async fn batch(
        &mut self,
        statements: Vec<bindings::sql::Statement>,
    ) -> Result<bindings::sql::Outcome, bindings::sql::Error> {
        self.imports.sql()?.batch(statements).await
    }
}
