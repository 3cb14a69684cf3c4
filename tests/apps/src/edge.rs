//! An edge in this process: the validator over the store of two tiers, whose near store, origin and
//! clock the test controls.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use countersign_host::bindings::store::{
    Capabilities, CompareAndSwap, Entry, Error, Expectation, Freshness, Lookup, Outcome,
};
use countersign_host::bindings::{journal, near, settings};
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

use crate::guest::{ENGINE, RUNTIME, lock};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package countersign:tests;

            world edge {
                import countersign:license/near@0.1.0;
                import countersign:license/origin@0.1.0;
                import countersign:license/settings@0.1.0;
                import countersign:license/journal@0.1.0;
                export countersign:license/service@0.1.0;
                export countersign:license/edge@0.1.0;
            }
        ",
        world: "countersign:tests/edge",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "countersign:license/store@0.1.0": countersign_host::bindings::store,
            "countersign:license/near@0.1.0": countersign_host::bindings::near,
            "countersign:license/settings@0.1.0": countersign_host::bindings::settings,
            "countersign:license/journal@0.1.0": countersign_host::bindings::journal,
        },
    });
}

use bindings::countersign::license::origin;
pub use bindings::exports::countersign::license::edge::Change;
use bindings::exports::countersign::license::service::{Body, Header, Request};

/// How the origin treats calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Answers.
    #[default]
    Up,
    /// Does not answer.
    Down,
    /// Does what it is asked, and its answer is lost.
    AnswerLost,
}

/// The origin, which all edges share.
#[derive(Debug, Default)]
pub struct Origin {
    /// Its entries.
    pub entries: BTreeMap<String, Entry>,
    /// How it treats calls.
    pub mode: Mode,
    /// Reads of it.
    pub reads: u64,
    writes: u64,
}

/// What one edge has to itself.
#[derive(Debug, Default)]
pub struct Near {
    /// Its clock, in seconds since 1970.
    pub now: i64,
    /// Its entries, each with the second from which it may be gone.
    pub entries: BTreeMap<String, (Entry, i64)>,
    /// Whether it fails.
    pub is_down: bool,
    /// The settings, by name.
    pub settings: BTreeMap<String, String>,
    /// The journal's events.
    pub events: Vec<journal::Event>,
    writes: u64,
}

/// One edge: an instance of the component.
pub struct Edge {
    near: Arc<Mutex<Near>>,
    store: Store<Guest>,
    app: bindings::Edge,
}

/// A component of edges, compiled.
pub struct Program(bindings::EdgePre<Guest>);

struct Guest {
    near: Arc<Mutex<Near>>,
    origin: Arc<Mutex<Origin>>,
    wasi: WasiCtx,
    resources: ResourceTable,
}

struct Clock(Arc<Mutex<Near>>);

impl Program {
    /// Compiles a component of `COUNTERSIGN_COMPONENTS`.
    pub fn compile(file: &str) -> Self {
        let directory = env::var_os("COUNTERSIGN_COMPONENTS")
            .expect("COUNTERSIGN_COMPONENTS is not set: run `cargo xtask test apps`");
        let component = Component::from_file(&ENGINE, Path::new(&directory).join(file)).unwrap();
        let mut linker = Linker::<Guest>::new(&ENGINE);
        near::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest).unwrap();
        origin::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest).unwrap();
        settings::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest).unwrap();
        journal::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest).unwrap();
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        Self(bindings::EdgePre::new(linker.instantiate_pre(&component).unwrap()).unwrap())
    }

    /// A new edge of this origin, with an empty near store.
    pub fn start(&self, origin: &Arc<Mutex<Origin>>, settings: &[(&str, &str)]) -> Edge {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let near = Arc::new(Mutex::new(Near { settings, ..Near::default() }));
        let (store, app) = self.instantiate(near.clone(), origin.clone());
        Edge { near, store, app }
    }

    /// Ends the edge's instance and starts another one over the same near store.
    pub fn restart(&self, edge: &mut Edge) {
        let origin = edge.store.data().origin.clone();
        (edge.store, edge.app) = self.instantiate(edge.near.clone(), origin);
    }

    fn instantiate(&self, near: Arc<Mutex<Near>>, origin: Arc<Mutex<Origin>>) -> (Store<Guest>, bindings::Edge) {
        let wasi = WasiCtx::builder().wall_clock(Clock(near.clone())).build();
        let guest = Guest { near, origin, wasi, resources: ResourceTable::new() };
        let mut store = Store::new(&ENGINE, guest);
        store.set_epoch_deadline(1);
        let app = RUNTIME.block_on(self.0.instantiate_async(&mut store)).unwrap();
        (store, app)
    }
}

impl Edge {
    /// What it has to itself.
    pub fn near(&self) -> MutexGuard<'_, Near> {
        lock(&self.near)
    }

    /// The status and the body of the answer to `POST /api/v1/{verb}`.
    pub fn ask(&mut self, verb: &str, body: &Value, idempotency_key: Option<&str>) -> (u16, Value) {
        let header = |key: &str| Header { name: "idempotency-key".into(), value: key.as_bytes().to_vec() };
        let request = Request {
            method: "POST".into(),
            path: format!("/api/v1/{verb}"),
            query: None,
            authority: None,
            client: None,
            headers: idempotency_key.map(header).into_iter().collect(),
            body: Body::Complete(body.to_string().into_bytes()),
        };
        let service = self.app.countersign_license_service();
        let response = RUNTIME.block_on(service.call_handle(&mut self.store, &request)).unwrap();
        (response.status, serde_json::from_slice(&response.body).unwrap())
    }

    /// Tells the edge of changes.
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), String> {
        let edge = self.app.countersign_license_edge();
        RUNTIME.block_on(edge.call_apply(&mut self.store, changes)).unwrap()
    }
}

impl Origin {
    /// Writes an entry, unconditionally.
    pub fn write(&mut self, key: &str, value: Vec<u8>) {
        self.writes += 1;
        self.entries.insert(key.to_owned(), Entry { value, version: self.writes });
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Self) -> T) -> Result<T, Error> {
        let silent = || Error::Unavailable("the origin of the test does not answer".into());
        match self.mode {
            Mode::Up => Ok(call(self)),
            Mode::Down => Err(silent()),
            Mode::AnswerLost => {
                call(self);
                Err(silent())
            }
        }
    }

    fn put(&mut self, key: &str, value: Vec<u8>, expect: &Expectation) -> Outcome {
        let present = self.entries.get(key).cloned();
        if !holds(expect, present.as_ref()) {
            return Outcome::Conflict(present);
        }
        self.write(key, value);
        Outcome::Stored(Some(self.writes))
    }
}

fn holds(expect: &Expectation, present: Option<&Entry>) -> bool {
    match expect {
        Expectation::Any => true,
        Expectation::Absent => present.is_none(),
        Expectation::Matches(version) => present.is_some_and(|entry| entry.version == *version),
    }
}

/// By how many seconds near is late to delete what has expired: a store may be.
const LATE: i64 = 100;

impl Near {
    fn present(&self, key: &str) -> Option<Entry> {
        self.entries.get(key).filter(|(_, until)| self.now < until.saturating_add(LATE)).map(|(entry, _)| entry.clone())
    }

    fn check(&self) -> Result<(), Error> {
        if self.is_down { Err(Error::Unavailable("the near store of the test fails".into())) } else { Ok(()) }
    }
}

const CAPABILITIES: fn(&str) -> Capabilities = |name| Capabilities {
    name: name.into(),
    compare_and_swap: CompareAndSwap::Atomic,
    ttl: true,
    lists: true,
    ordered_list: true,
    staleness_seconds: 0,
};

impl near::Host for Guest {
    fn get(&mut self, key: String, _: Freshness) -> Result<Lookup, Error> {
        let near = lock(&self.near);
        near.check()?;
        Ok(Lookup { entry: near.present(&key), age_seconds: 0, stale: false })
    }

    async fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        ttl: Option<u32>,
    ) -> Result<Outcome, Error> {
        let mut near = lock(&self.near);
        near.check()?;
        let present = near.present(&key);
        if !holds(&expect, present.as_ref()) {
            return Ok(Outcome::Conflict(present));
        }
        near.writes += 1;
        let (version, until) = (near.writes, ttl.map_or(i64::MAX, |ttl| near.now + i64::from(ttl)));
        near.entries.insert(key, (Entry { value, version }, until));
        Ok(Outcome::Stored(Some(version)))
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        let mut near = lock(&self.near);
        near.check()?;
        near.entries.remove(&key);
        Ok(())
    }

    fn describe(&mut self) -> Capabilities {
        CAPABILITIES("near")
    }
}

impl origin::Host for Guest {
    fn get(&mut self, key: String, _: u32) -> wasmtime::Result<Result<Option<Entry>, Error>> {
        Ok(lock(&self.origin).call(|origin| {
            origin.reads += 1;
            origin.entries.get(&key).cloned()
        }))
    }

    fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        _: Option<u32>,
        _: u32,
    ) -> wasmtime::Result<Result<Outcome, Error>> {
        Ok(lock(&self.origin).call(|origin| origin.put(&key, value, &expect)))
    }

    fn describe(&mut self) -> wasmtime::Result<Capabilities> {
        Ok(CAPABILITIES("origin"))
    }
}

impl settings::Host for Guest {
    fn get(&mut self, name: String) -> Result<Option<String>, settings::Error> {
        Ok(lock(&self.near).settings.get(&name).cloned())
    }
}

impl journal::Host for Guest {
    fn append(&mut self, event: journal::Event) {
        lock(&self.near).events.push(event);
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
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
