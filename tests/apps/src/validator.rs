//! The validator component in this process, over a store in memory, with a clock and faults that the test sets.

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use countersign::borrow_event;
use countersign_host::bindings::service::{Body, Request, Response};
use countersign_host::bindings::store::{Capabilities, CompareAndSwap, Entry, Error, Expectation, Outcome, Page};
use countersign_host::bindings::{App, AppPre, journal, settings, store};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

/// What a store does to one call, in place of what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A read or a write as it should be.
    Spared,
    /// Another writes first: a conditional write conflicts.
    Overtaken,
    /// An error; nothing was written.
    Refused,
    /// An error, after the write was applied.
    Unheard,
}

/// The world around the component.
#[derive(Default)]
pub struct World {
    /// Seconds since 1970.
    pub now: i64,
    pub entries: BTreeMap<String, Entry>,
    pub events: Vec<String>,
    /// What becomes of the next calls of the store; later ones are spared.
    pub faults: VecDeque<Fault>,
    writes: u64,
}

impl World {
    /// Writes as a vendor would: whatever is there.
    pub fn write(&mut self, key: &str, value: Vec<u8>) -> u64 {
        self.writes += 1;
        self.entries.insert(key.to_owned(), Entry { value, version: self.writes });
        self.writes
    }

    fn fault(&mut self) -> Fault {
        self.faults.pop_front().unwrap_or(Fault::Spared)
    }
}

/// One instance of the component.
pub struct Validator {
    world: Arc<Mutex<World>>,
    store: wasmtime::Store<Guest>,
    app: App,
}

struct Guest {
    world: Arc<Mutex<World>>,
    wasi: WasiCtx,
    resources: ResourceTable,
}

struct Clock(Arc<Mutex<World>>);

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

static COMPONENT: LazyLock<AppPre<Guest>> = LazyLock::new(|| {
    let directory =
        env::var_os("COUNTERSIGN_COMPONENTS").expect("COUNTERSIGN_COMPONENTS is not set: run `cargo xtask test`");
    let engine = Engine::new(&Config::new()).unwrap();
    let component = Component::from_file(&engine, Path::new(&directory).join("countersign-native.wasm")).unwrap();
    let mut linker = Linker::new(&engine);
    App::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest).unwrap();
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    AppPre::new(linker.instantiate_pre(&component).unwrap()).unwrap()
});

impl Validator {
    /// A new instance in an empty world.
    pub fn start() -> Self {
        let world = Arc::<Mutex<World>>::default();
        let wasi = WasiCtx::builder().wall_clock(Clock(world.clone())).inherit_stderr().build();
        let guest = Guest { world: world.clone(), wasi, resources: ResourceTable::new() };
        let mut store = wasmtime::Store::new(COMPONENT.engine(), guest);
        let app = RUNTIME.block_on(COMPONENT.instantiate_async(&mut store)).unwrap();
        Self { world, store, app }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The status and body of what a verb answers.
    pub fn ask(&mut self, verb: &str, body: &Value, idempotency_key: Option<&str>) -> (u16, Value) {
        let header = |key: &str| countersign_host::bindings::service::Header {
            name: "idempotency-key".into(),
            value: key.as_bytes().to_vec(),
        };
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
        let Response { status, body, .. } = RUNTIME.block_on(service.call_handle(&mut self.store, &request)).unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(self.0.lock().unwrap().now as u64)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl store::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<Entry>, Error> {
        let mut world = self.world.lock().unwrap();
        match world.fault() {
            Fault::Spared | Fault::Overtaken => Ok(world.entries.get(&key).cloned()),
            Fault::Refused | Fault::Unheard => Err(Error::Unavailable("a fault of the test".into())),
        }
    }

    async fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        _: Option<u32>,
    ) -> Result<Outcome, Error> {
        let mut world = self.world.lock().unwrap();
        let fault = world.fault();
        if fault == Fault::Refused {
            return Err(Error::Unavailable("a fault of the test".into()));
        }
        if fault == Fault::Overtaken
            && let Some(entry) = world.entries.get(&key).cloned()
        {
            world.write(&key, entry.value);
        }
        let present = world.entries.get(&key).cloned();
        let holds = match expect {
            Expectation::Any => true,
            Expectation::Absent => present.is_none(),
            Expectation::Matches(version) => present.as_ref().is_some_and(|entry| entry.version == version),
        };
        let outcome = if holds { Outcome::Stored(Some(world.write(&key, value))) } else { Outcome::Conflict(present) };
        if fault == Fault::Unheard { Err(Error::Unavailable("a fault of the test".into())) } else { Ok(outcome) }
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        self.world.lock().unwrap().entries.remove(&key);
        Ok(())
    }

    fn list_keys(&mut self, _: String, _: Option<String>, _: u32) -> Result<Page, Error> {
        Err(Error::Unsupported)
    }

    fn describe(&mut self) -> Capabilities {
        Capabilities {
            name: "memory".into(),
            compare_and_swap: CompareAndSwap::Atomic,
            ttl: true,
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
    fn append(&mut self, event: journal::Event) {
        self.world.lock().unwrap().events.extend(borrow_event!(event).to_line());
    }
}
