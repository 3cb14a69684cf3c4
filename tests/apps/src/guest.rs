//! The host of a component under test: its imports reach a [`World`]. Both components, compiled.

use std::env;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_host::bindings::store::{
    Capabilities, CompareAndSwap, Error, Expectation, Freshness, Lookup, Outcome, Page,
};
use countersign_host::bindings::{App, AppPre, journal, settings, sql, store};
use countersign_host::engine;
use countersign_host::imports::sql::Sql;
use countersign_host::limits::MAX_REGISTRAR_MEMORY;
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, ResourceLimiter, Store};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

use crate::world::{Fault, World};

/// The host's side of one instance.
pub struct Guest {
    world: Arc<Mutex<World>>,
    /// If absent, every call of the database is denied.
    sql: Option<Arc<Sql>>,
    wasi: WasiCtx,
    resources: ResourceTable,
    memory: Memory,
}

/// Bytes of all linear memories of an instance, [`MAX_REGISTRAR_MEMORY`] at most.
struct Memory(usize);

struct Clock(Arc<Mutex<World>>);

/// Runs the components' calls.
pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

pub(crate) static VALIDATOR: LazyLock<AppPre<Guest>> = LazyLock::new(|| compile("countersign-native.wasm"));
pub(crate) static REGISTRAR: LazyLock<AppPre<Guest>> = LazyLock::new(|| compile("countersign-registrar-native.wasm"));

/// Configured as the native host's. Its epoch never advances, so no call is interrupted.
pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(&engine::configure(None).unwrap()).unwrap());

fn compile(file: &str) -> AppPre<Guest> {
    let directory =
        env::var_os("COUNTERSIGN_COMPONENTS").expect("COUNTERSIGN_COMPONENTS is not set: run `cargo xtask test apps`");
    let component = Component::from_file(&ENGINE, Path::new(&directory).join(file)).unwrap();
    AppPre::new(linker(&ENGINE).unwrap().instantiate_pre(&component).unwrap()).unwrap()
}

/// Links everything that either app imports.
///
/// # Errors
///
/// Fails if an import is linked twice.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    App::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    sql::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}

impl Guest {
    /// An instance's host, over this world.
    pub fn new(world: Arc<Mutex<World>>, sql: Option<Arc<Sql>>) -> Self {
        let wasi = WasiCtx::builder().wall_clock(Clock(world.clone())).inherit_stderr().build();
        Self { world, sql, wasi, resources: ResourceTable::new(), memory: Memory(0) }
    }

    /// The engine's store for one instance.
    pub fn into_store(self, engine: &Engine) -> Store<Self> {
        let mut store = Store::new(engine, self);
        store.limiter(|guest| &mut guest.memory);
        store.set_epoch_deadline(1);
        store
    }

    /// Bytes of all linear memories of the instance.
    pub fn memory(&self) -> usize {
        self.memory.0
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn sql(&self) -> Result<&Arc<Sql>, sql::Error> {
        self.sql.as_ref().ok_or(sql::Error::AccessDenied)
    }
}

/// Makes a call of the database, unless a fault prevents it.
async fn call_sql<T>(world: &Mutex<World>, call: impl Future<Output = Result<T, sql::Error>>) -> Result<T, sql::Error> {
    let failed = || Err(sql::Error::Unavailable("a fault of the test".into()));
    let fault = {
        let mut world = lock(world);
        if let Some(error) = world.sql_faults.pop_front().flatten() {
            return Err(error);
        }
        world.cut()
    };
    if fault == Some(Fault::NotMade) {
        return failed();
    }
    let answer = call.await;
    if let Err(error) = &answer
        && !matches!(error, sql::Error::NoSuchTable)
    {
        lock(world).sql_errors.push(error.clone());
    }
    if fault == Some(Fault::AnswerLost) { failed() } else { answer }
}

/// What a test's threads share, also after one of them panicked with it.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = self.0 + desired - current;
        if bytes > MAX_REGISTRAR_MEMORY {
            return Ok(false);
        }
        self.0 = bytes;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(lock(&self.0).now as u64)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl store::Host for Guest {
    fn get(&mut self, key: String, freshness: Freshness) -> Result<Lookup, Error> {
        self.world().get(&key, freshness)
    }

    async fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        _: Option<u32>,
    ) -> Result<Outcome, Error> {
        self.world().put(&key, value, expect)
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        self.world().delete(&key)
    }

    fn list_keys(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Result<Page, Error> {
        self.world().list_keys(&prefix, cursor.as_deref(), limit)
    }

    fn describe(&mut self) -> Capabilities {
        Capabilities {
            name: "memory".into(),
            compare_and_swap: CompareAndSwap::Atomic,
            ttl: true,
            lists: true,
            ordered_list: true,
            staleness_seconds: 0,
        }
    }
}

impl sql::Host for Guest {
    async fn query(&mut self, statement: sql::Statement) -> Result<Vec<sql::Row>, sql::Error> {
        call_sql(&self.world, self.sql()?.query(statement)).await
    }

    async fn execute(&mut self, statement: sql::Statement) -> Result<Vec<sql::Row>, sql::Error> {
        call_sql(&self.world, self.sql()?.execute(statement)).await
    }

    async fn batch(&mut self, statements: Vec<sql::Statement>) -> Result<sql::Outcome, sql::Error> {
        call_sql(&self.world, self.sql()?.batch(statements)).await
    }
}

impl settings::Host for Guest {
    fn get(&mut self, name: String) -> Result<Option<String>, settings::Error> {
        Ok(self.world().settings.get(&name).cloned())
    }
}

impl journal::Host for Guest {
    fn append(&mut self, event: journal::Event) {
        self.world().events.push(event);
    }
}
