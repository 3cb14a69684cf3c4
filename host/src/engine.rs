//! Runs components: compiles each once, keeps warm instances of it, and bounds each call.
//!
//! # Design decisions
//! - Calls are asynchronous and run on the server's own threads. A validation takes microseconds
//!   and never leaves the thread that read the request. A guest that computes for longer yields at
//!   each tick of the epoch. After [`FAST_TICKS`] ticks it counts as slow and must queue for a
//!   permit to compute. There are fewer permits than threads ([`Machine::new`]'s `slow_calls`), so
//!   the other threads keep answering, however many requests spin. With blocking calls, one
//!   spinning guest per thread would stop the server until their deadline.
//! - An instance serves one request at a time, and is kept for the next. Whatever ends a call early
//!   (a trap, the deadline, the memory limit) ends that instance alone.
//! - The memory that an instance touched is reset in place for the next one in its slot, not
//!   returned to the kernel. This saves the next instance a page fault for each page, and halves
//!   the time of a first verdict.
//! - wasmtime's cache holds the compiled code, by the component's content and the compiler's
//!   version. Loading it ourselves would take the only `unsafe` in this program, and save
//!   milliseconds at a start.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::timeout;
use wasmtime::component::{Component, Linker};
use wasmtime::error::Context;
use wasmtime::{Cache, CacheConfig, Config, Enabled, PoolingAllocationConfig, UpdateDeadline};

use crate::bindings::edge::Change;
use crate::bindings::service::{Request, Response};
use crate::bindings::{App, AppPre, EdgePre};
use crate::imports::{Guest, Imports};
use crate::limits::{
    CALLS_PER_INSTANCE, CORE_INSTANCES_PER_INSTANCE, EPOCH_TICK, FAST_TICKS, MAX_INSTANCES, MAX_REGISTRAR_MEMORY,
    RESIDENT_MEMORY, RESIDENT_TABLE,
};
use crate::pool::Pool;
use crate::private;

/// What the components of one process run on: a compiler, a pool of memory for instances, the
/// thread that advances the epoch, and permits for slow calls.
pub struct Machine {
    engine: wasmtime::Engine,
    slow_calls: Arc<Semaphore>,
}

/// A component that is ready to answer requests.
pub struct Engine {
    app: AppPre<Guest>,
    /// The same component as an edge, if it is one.
    edge: Option<EdgePre<Guest>>,
    imports: Arc<Imports>,
    warm: Pool<Instance>,
    slow_calls: Arc<Semaphore>,
    bounds: Bounds,
}

/// The bounds of one app.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The time that one call may take.
    pub deadline: Duration,
    /// Bytes of all linear memories of one instance together; [`MAX_REGISTRAR_MEMORY`] at most.
    pub memory: usize,
    /// The number of idle instances to keep between calls.
    pub warm: usize,
}

struct Instance {
    store: wasmtime::Store<Guest>,
    app: App,
    turn: Arc<Mutex<Turn>>,
    /// Those that it has answered.
    calls: u32,
}

/// The progress of a call.
#[derive(Default)]
struct Turn {
    /// Ticks of the epoch since the call began.
    ticks: u32,
    /// A slow call's permit to compute until the next tick.
    permit: Option<OwnedSemaphorePermit>,
}

/// Why a call has no answer. Its instance is dropped, and the next call gets another.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The call took longer than its deadline.
    #[error("the call missed its deadline")]
    Deadline,
    /// The guest trapped, ran out of memory, or could not be started. The text is for operators.
    #[error("the call failed: {0:#}")]
    Guest(wasmtime::Error),
}

impl Machine {
    /// `cache` is a directory for compiled components. `slow_calls` is the number of slow calls
    /// that may compute at once; it should be less than the number of threads.
    ///
    /// # Errors
    /// If the cache's directory cannot be used, or memory or a thread cannot be had.
    pub fn new(cache: Option<&Path>, slow_calls: usize) -> wasmtime::Result<Self> {
        let engine = wasmtime::Engine::new(&configure(cache)?)?;
        tick(&engine)?;
        Ok(Self { engine, slow_calls: Arc::new(Semaphore::new(slow_calls)) })
    }

    /// Compiles a component, or loads it from the cache, and starts a first instance.
    ///
    /// # Errors
    /// If the file cannot be read, is not a valid component, or imports what `imports` does not
    /// link.
    pub async fn load(&self, component: &Path, imports: Imports, bounds: Bounds) -> wasmtime::Result<Engine> {
        let component = Component::from_file(&self.engine, component)?;
        let mut linker = Linker::new(&self.engine);
        imports.link(&mut linker)?;
        let linked = linker.instantiate_pre(&component)?;
        let edge = imports.grants.origin.is_some().then(|| EdgePre::new(linked.clone())).transpose()?;
        let app = AppPre::new(linked)?;
        let (imports, slow_calls) = (Arc::new(imports), self.slow_calls.clone());
        let engine = Engine { app, edge, imports, warm: Pool::new(bounds.warm), slow_calls, bounds };
        engine.warm.put(engine.start().await?);
        Ok(engine)
    }
}

impl Engine {
    /// Calls `service.handle` on an instance that no other call is using.
    ///
    /// # Errors
    /// [`Failure`]. Whether the guest did what the request asked is then unknown.
    pub async fn call(&self, request: &Request) -> Result<Response, Failure> {
        timeout(self.bounds.deadline, self.call_to_end(request))
            .await
            .map_err(|_| Failure::Deadline)?
            .map_err(Failure::Guest)
    }

    async fn call_to_end(&self, request: &Request) -> wasmtime::Result<Response> {
        let mut instance = match self.warm.take() {
            Some(instance) => instance,
            None => self.start().await?,
        };
        instance.store.set_epoch_deadline(1);
        let response = instance.app.countersign_license_service().call_handle(&mut instance.store, request).await?;
        *lock(&instance.turn) = Turn::default();
        instance.calls += 1;
        if instance.calls < CALLS_PER_INSTANCE {
            self.warm.put(instance);
        }
        Ok(response)
    }

    /// Calls `edge.apply` on an instance of its own. An error of the component is for operators.
    ///
    /// # Errors
    /// [`Failure`]; also if the component is not an edge's.
    pub async fn apply(&self, changes: &[Change]) -> Result<Result<(), String>, Failure> {
        let edge = self
            .edge
            .as_ref()
            .ok_or_else(|| Failure::Guest(wasmtime::format_err!("the component is for another host than an edge")))?;
        let (mut store, _) = self.store();
        let applied = async {
            let edge = edge.instantiate_async(&mut store).await?;
            edge.countersign_license_edge().call_apply(&mut store, changes).await
        };
        applied.await.map_err(Failure::Guest)
    }

    async fn start(&self) -> wasmtime::Result<Instance> {
        let (mut store, turn) = self.store();
        let app = self.app.instantiate_async(&mut store).await.context("cannot start an instance")?;
        Ok(Instance { store, app, turn, calls: 0 })
    }
}

impl Engine {
    /// What one instance runs in.
    fn store(&self) -> (wasmtime::Store<Guest>, Arc<Mutex<Turn>>) {
        let mut store = wasmtime::Store::new(self.app.engine(), Guest::new(self.imports.clone(), self.bounds.memory));
        store.limiter(|guest| &mut guest.limits);
        let turn = Arc::<Mutex<Turn>>::default();
        take_turns(&mut store, turn.clone(), self.slow_calls.clone());
        store.set_epoch_deadline(1);
        (store, turn)
    }
}

/// Makes the guest yield at every tick and, once it is slow, wait for a permit.
fn take_turns(store: &mut wasmtime::Store<Guest>, turn: Arc<Mutex<Turn>>, slow_calls: Arc<Semaphore>) {
    store.epoch_deadline_callback(move |_| {
        let mut current = lock(&turn);
        current.permit = None;
        current.ticks += 1;
        let is_slow = current.ticks > FAST_TICKS;
        let (turn, slow_calls) = (turn.clone(), slow_calls.clone());
        let next_turn = Box::pin(async move {
            yield_now().await;
            if is_slow {
                let permit = slow_calls.acquire_owned().await.ok();
                lock(&turn).permit = permit;
            }
        });
        Ok(UpdateDeadline::YieldCustom(1, next_turn))
    });
}

fn lock(turn: &Mutex<Turn>) -> MutexGuard<'_, Turn> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Advances the engine's epoch for as long as the engine lives.
fn tick(engine: &wasmtime::Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    thread::Builder::new().name("epoch".into()).spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(EPOCH_TICK);
        }
    })?;
    Ok(())
}

/// The engine's configuration: instances from a pool, and interruption by epoch.
///
/// # Errors
/// If the cache's directory cannot be used, or other users may write to it.
pub fn configure(cache: Option<&Path>) -> wasmtime::Result<Config> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_INSTANCES)
        .total_stacks(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * CORE_INSTANCES_PER_INSTANCE)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * CORE_INSTANCES_PER_INSTANCE)
        .max_memory_size(MAX_REGISTRAR_MEMORY)
        .linear_memory_keep_resident(RESIDENT_MEMORY)
        .table_keep_resident(RESIDENT_TABLE)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config.allocation_strategy(pool).epoch_interruption(true);
    if let Some(directory) = cache {
        // What lies in it is run as native code.
        private::create_directory(directory)?;
        let mut cache = CacheConfig::new();
        cache.with_directory(std::path::absolute(directory)?);
        config.cache(Some(Cache::new(cache)?));
    }
    Ok(config)
}
