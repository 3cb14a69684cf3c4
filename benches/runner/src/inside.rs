//! The time and memory of an instance in this process, without HTTP: on the native host's engine,
//! over one licence in memory.
//!
//! It measures the processor time of one thread, which other programs do not affect.

use std::{
    hint::black_box,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
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
use countersign_app_tests::{
    World,
    guest::{Guest, linker},
};
use countersign_host::{
    bindings::{
        App, AppPre,
        service::{Body, Request as Asked, Response},
    },
    engine,
};
use countersign_host_tests::artifacts;
use wasmtime::{
    Engine, Result, Store,
    component::{Component, InstancePre},
    ensure,
};

use crate::{cases, machine, statistics::Figure};

const ROUNDS: usize = 11;
/// Turns in a round. Each turn measures everything once, so ratios compare neighbours in time.
const TURNS: u32 = 50;
/// Instances of each kind in a turn.
const INSTANCES: u32 = 40;
/// Calls of each kind in a turn.
const CALLS: u32 = 200;

/// Validations before the second look at an instance's memory.
const LATER: u32 = 10_000;

/// The figures of one round, in microseconds.
#[derive(Default)]
struct Sample {
    empty: f64,
    instantiate: f64,
    first: f64,
    warm: f64,
    native: f64,
}

/// The result: times in microseconds, ratios within rounds, and bytes of memory.
pub(crate) struct Inside {
    /// A component that does nothing, with one page of memory: created and dropped.
    pub(crate) empty: Figure,
    /// The validator: created and dropped.
    pub(crate) instantiate: Figure,
    /// The validator: created, called once and dropped.
    pub(crate) first: Figure,
    /// `service.handle` of a validation, on an existing instance.
    pub(crate) warm: Figure,
    /// The same Rust code natively: reads request and record, decides, writes the verdict.
    pub(crate) native: Figure,
    pub(crate) first_to_empty: Figure,
    pub(crate) warm_to_native: Figure,
    /// Linear memory of an instance after one validation.
    pub(crate) memory_first: usize,
    /// The same after [`LATER`] validations.
    pub(crate) memory_later: usize,
}

/// Measures everything.
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
    /// A world with one licence.
    world: Arc<Mutex<World>>,
    /// The licence's record.
    record: Vec<u8>,
    asked: Asked,
    body: Vec<u8>,
}

impl Bench {
    fn new(empty: &Path, validator: &Path, (key, record): (String, String), body: String) -> Result<Self> {
        let engine = Engine::new(&engine::configure(None)?)?;
        let linker = linker(&engine)?;
        let load = |file| linker.instantiate_pre(&Component::from_file(&engine, file)?);
        let (empty, validator) = (load(empty)?, AppPre::new(load(validator)?)?);
        let (method, path, body) = ("POST".to_owned(), "/api/v1/validate".to_owned(), body.into_bytes());
        let body_sent = Body::Complete(body.clone());
        let asked =
            Asked { method, path, query: None, authority: None, client: None, headers: Vec::new(), body: body_sent };
        let mut world = World { now: now()?.unix(), ..World::default() };
        let record = record.into_bytes();
        world.write(&key, record.clone());
        Ok(Self { engine, empty, validator, world: Arc::new(Mutex::new(world)), record, asked, body })
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

    /// Fails unless both ways give the same verdict, byte for byte.
    async fn check(&self) -> Result<()> {
        let (mut store, app) = self.instance().await?;
        let response = self.handle(&mut store, &app).await?;
        let (inside, native) = (String::from_utf8(response.body)?, String::from_utf8(self.native()?)?);
        ensure!(
            response.status == 200 && inside == native,
            "the validator answers {inside}, and the native code {native}"
        );
        Ok(())
    }

    async fn round(&self) -> Result<Sample> {
        let (mut store, app) = self.instance().await?;
        let mut round = Sample::default();
        for _ in 0..TURNS {
            self.world.lock().unwrap_or_else(PoisonError::into_inner).events.clear();
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
        let first = store.data().memory();
        for _ in 1..LATER {
            self.handle(&mut store, &app).await?;
        }
        Ok((first, store.data().memory()))
    }

    fn store(&self) -> Store<Guest> {
        Guest::new(self.world.clone(), None).into_store(&self.engine)
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
        let license = License::from_json(black_box(&self.record))?;
        let verdict = Case::new(&license, &request).decide(&State::default(), now()?);
        Ok(verdict.to_json(Some(&license), &request).into_bytes())
    }
}

fn now() -> Result<Timestamp> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(Timestamp::from_unix(seconds.cast_signed()))
}

/// The microseconds of one run, on average.
async fn time(times: u32, mut run: impl AsyncFnMut() -> Result<()>) -> Result<f64> {
    let began = machine::thread_time();
    for _ in 0..times {
        run().await?;
    }
    Ok(1e6 * (machine::thread_time() - began).as_secs_f64() / f64::from(times))
}
