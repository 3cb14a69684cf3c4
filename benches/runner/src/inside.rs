//! In this process, without HTTP: what an instance costs in time and in memory, on the native host's engine and over one licence in
//! memory.
//!
//! All of it is done by one thread, whose processor time is what is measured: it leaves out what else the machine does.

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::anyhow;
use countersign::{
    decide::Case,
    license::License,
    request::{Request, Verb},
    state::State,
    time::Timestamp,
};
use countersign_host::{
    bindings::{
        App, AppPre, journal,
        service::{Body, Request as Asked, Response},
        settings,
        store::{self, Capabilities, CompareAndSwap, Entry, Error, Expectation, Outcome, Page},
    },
    engine,
};
use countersign_host_tests::artifacts;
use wasmtime::{
    Engine, ResourceLimiter, Result, Store,
    component::{Component, HasSelf, InstancePre, Linker, ResourceTable},
    ensure,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::{cases, machine, statistics::Figure};

const ROUNDS: usize = 11;
/// A round goes over all that is measured this many times, so that its ratios are between neighbours.
const TURNS: u32 = 50;
/// Instances made in a turn, of each kind.
const INSTANCES: u32 = 40;
/// Calls made in a turn, of each kind.
const CALLS: u32 = 200;

/// Validations after which an instance's memory is looked at again.
const LATER: u32 = 10_000;

/// Microseconds each, of one round.
#[derive(Default)]
struct Sample {
    empty: f64,
    instantiate: f64,
    first: f64,
    warm: f64,
    native: f64,
}

/// What was measured: microseconds, the ratios of one round, and bytes.
pub(crate) struct Inside {
    /// A component that does nothing, with one page of memory: made and dropped.
    pub(crate) empty: Figure,
    /// The validator: made and dropped.
    pub(crate) instantiate: Figure,
    /// The validator: made, asked once and dropped.
    pub(crate) first: Figure,
    /// `service.handle` of a validation, on an instance that is there.
    pub(crate) warm: Figure,
    /// The same Rust code in this process: request and record read, decided, verdict written.
    pub(crate) native: Figure,
    pub(crate) first_to_empty: Figure,
    pub(crate) warm_to_native: Figure,
    /// Linear memory of an instance after one validation.
    pub(crate) memory_first: usize,
    /// The same after [`LATER`] of them.
    pub(crate) memory_later: usize,
}

/// Measures it all.
pub(crate) fn measure() -> anyhow::Result<Inside> {
    eprintln!("inside: {ROUNDS} rounds");
    let (empty, validator) =
        (artifacts::component("tests/empty.wasm")?, artifacts::component("countersign-native.wasm")?);
    let (entry, body) = (cases::entry(0, 1)?, cases::ask(&cases::key(0)?, "example.com"));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let measured = runtime.block_on(async { Bench::new(&empty, &validator, entry, body)?.measure().await });
    measured.map_err(|error| anyhow!("{error:#}"))
}

struct Bench {
    engine: Engine,
    empty: InstancePre<Guest>,
    validator: AppPre<Guest>,
    /// The store's one key and value.
    entry: Arc<(String, Vec<u8>)>,
    asked: Asked,
    body: Vec<u8>,
}

impl Bench {
    fn new(empty: &Path, validator: &Path, (key, value): (String, String), body: String) -> Result<Self> {
        let engine = Engine::new(&engine::configure(None)?)?;
        let mut linker = Linker::new(&engine);
        App::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let load = |file| linker.instantiate_pre(&Component::from_file(&engine, file)?);
        let (empty, validator) = (load(empty)?, AppPre::new(load(validator)?)?);
        let (method, path, body) = ("POST".to_owned(), "/api/v1/validate".to_owned(), body.into_bytes());
        let body_sent = Body::Complete(body.clone());
        let asked =
            Asked { method, path, query: None, authority: None, client: None, headers: Vec::new(), body: body_sent };
        Ok(Self { engine, empty, validator, entry: Arc::new((key, value.into_bytes())), asked, body })
    }

    async fn measure(&self) -> Result<Inside> {
        self.check().await?;
        let mut samples = Vec::new();
        for _ in 0..ROUNDS {
            samples.push(self.round().await?);
        }
        let (memory_first, memory_later) = self.memory().await?;
        let figure = |quantity: fn(&Sample) -> f64| Figure::of(samples.iter().map(quantity));
        Ok(Inside {
            empty: figure(|sample| sample.empty),
            instantiate: figure(|sample| sample.instantiate),
            first: figure(|sample| sample.first),
            warm: figure(|sample| sample.warm),
            native: figure(|sample| sample.native),
            first_to_empty: figure(|sample| sample.first / sample.empty),
            warm_to_native: figure(|sample| sample.warm / sample.native),
            memory_first,
            memory_later,
        })
    }

    /// Both ways must come to the same verdict, byte for byte.
    async fn check(&self) -> Result<()> {
        let (mut store, app) = self.instance().await?;
        let response = self.handle(&mut store, &app).await?;
        let (inside, native) = (String::from_utf8(response.body)?, String::from_utf8(self.native()?)?);
        ensure!(response.status == 200 && inside == native, "the validator said {inside}, and natively it is {native}");
        Ok(())
    }

    async fn round(&self) -> Result<Sample> {
        let (mut store, app) = self.instance().await?;
        let mut round = Sample::default();
        for _ in 0..TURNS {
            let empty = async || self.empty.instantiate_async(&mut self.store()).await.map(drop);
            let instantiate = async || self.instance().await.map(drop);
            let first = async || {
                let (mut store, app) = self.instance().await?;
                self.handle(&mut store, &app).await.map(drop)
            };
            round.empty += time(INSTANCES, empty).await? / f64::from(TURNS);
            round.instantiate += time(INSTANCES, instantiate).await? / f64::from(TURNS);
            round.first += time(INSTANCES, first).await? / f64::from(TURNS);
            round.warm += time(CALLS, async || self.handle(&mut store, &app).await.map(drop)).await? / f64::from(TURNS);
            round.native += time(CALLS, async || self.native().map(drop)).await? / f64::from(TURNS);
        }
        Ok(round)
    }

    async fn memory(&self) -> Result<(usize, usize)> {
        let (mut store, app) = self.instance().await?;
        self.handle(&mut store, &app).await?;
        let first = store.data().memory.0;
        for _ in 1..LATER {
            self.handle(&mut store, &app).await?;
        }
        Ok((first, store.data().memory.0))
    }

    fn store(&self) -> Store<Guest> {
        let mut store = Store::new(&self.engine, Guest::new(self.entry.clone()));
        store.limiter(|guest| &mut guest.memory);
        // The epoch never ends, as nobody advances it.
        store.set_epoch_deadline(1);
        store
    }

    async fn instance(&self) -> Result<(Store<Guest>, App)> {
        let mut store = self.store();
        let app = self.validator.instantiate_async(&mut store).await?;
        Ok((store, app))
    }

    async fn handle(&self, store: &mut Store<Guest>, app: &App) -> Result<Response> {
        app.countersign_license_service().call_handle(store, &self.asked).await
    }

    fn native(&self) -> Result<Vec<u8>> {
        let request = Request::from_json(Verb::Validate, black_box(&self.body))?;
        let license = License::from_json(black_box(&self.entry.1))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let verdict = Case::new(&license, &request).decide(&State::default(), Timestamp::from_unix(now.cast_signed()));
        Ok(verdict.to_json(Some(&license), &request).into_bytes())
    }
}

/// Microseconds that one run takes.
async fn time(times: u32, mut run: impl AsyncFnMut() -> Result<()>) -> Result<f64> {
    let began = machine::thread_time();
    for _ in 0..times {
        run().await?;
    }
    Ok(1e6 * (machine::thread_time() - began).as_secs_f64() / f64::from(times))
}

/// What an instance has: a store in memory, no setting, and a journal that keeps nothing.
struct Guest {
    entry: Arc<(String, Vec<u8>)>,
    wasi: WasiCtx,
    resources: ResourceTable,
    memory: LinearMemory,
}

/// Bytes of all linear memories of an instance.
struct LinearMemory(usize);

impl ResourceLimiter for LinearMemory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.0 += desired - current;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

impl Guest {
    fn new(entry: Arc<(String, Vec<u8>)>) -> Self {
        let (wasi, resources) = (WasiCtx::builder().build(), ResourceTable::new());
        Self { entry, wasi, resources, memory: LinearMemory(0) }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl store::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<Entry>, Error> {
        let (known, value) = &*self.entry;
        Ok((key == *known).then(|| Entry { value: value.clone(), version: 1 }))
    }

    async fn put(&mut self, _: String, _: Vec<u8>, _: Expectation, _: Option<u32>) -> Result<Outcome, Error> {
        Err(Error::Unsupported)
    }

    async fn delete(&mut self, _: String) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    fn list_keys(&mut self, _: String, _: Option<String>, _: u32) -> Result<Page, Error> {
        Err(Error::Unsupported)
    }

    fn describe(&mut self) -> Capabilities {
        Capabilities {
            name: "memory".into(),
            compare_and_swap: CompareAndSwap::ReadOnly,
            ttl: false,
            lists: false,
            ordered_list: false,
            staleness_seconds: 0,
        }
    }
}

impl settings::Host for Guest {
    fn get(&mut self, _: String) -> Result<Option<String>, settings::Error> {
        Ok(None)
    }
}

impl journal::Host for Guest {
    fn append(&mut self, _: journal::Event) {}
}
