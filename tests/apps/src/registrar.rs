//! The registrar component in this process, over a database of its own and a store in memory, with a clock and faults that the test sets;
//! and the validator component over the same store.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use countersign::borrow_event;
use countersign::key;
use countersign::license::License;
use countersign_host::bindings::service::{Body, Header, Request};
use countersign_host::bindings::store::{Capabilities, CompareAndSwap, Entry, Error, Expectation, Outcome, Page};
use countersign_host::bindings::{App, AppPre, journal, settings, sql, store};
use countersign_host::limits::MAX_REGISTRAR_MEMORY;
use countersign_host::sql::{FILE_NAME, Sql};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

/// A token of all rights, which the operator set.
pub const OPERATOR: &str = "the operator's token, which is long enough";

/// When every test begins: 2026-11-22T10:00:00Z.
pub const BEGIN: i64 = 1_795_341_600;

/// The world around the component.
pub struct World {
    /// Seconds since 1970.
    pub now: i64,
    pub entries: BTreeMap<String, Entry>,
    pub settings: HashMap<String, String>,
    /// Whether the store answers nothing.
    pub is_store_gone: bool,
    /// Keys for which the store has no room.
    pub too_large: BTreeSet<String>,
    /// After so many calls of the database and the store none is answered; whether the last one before is still made.
    pub end: Option<(usize, bool)>,
    /// What becomes of the next calls of the database; later ones are spared.
    pub faults: VecDeque<Option<sql::Error>>,
    /// Errors of the database's own, but for tables that are not there yet.
    pub errors: Vec<sql::Error>,
    /// What the journal was told.
    pub events: Vec<String>,
    /// Calls of the database and the store so far that had no fault.
    pub calls: usize,
    pub puts: usize,
}

/// The registrar with what is its own; any number of requests at once.
#[derive(Clone)]
pub struct Registrar {
    world: Arc<Mutex<World>>,
    sql: Arc<Sql>,
    directory: Arc<TempDir>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub bytes: Vec<u8>,
    /// The body as JSON, null where it is none.
    pub body: Value,
}

/// A request that is not sent yet.
pub struct Asking<'a> {
    registrar: &'a Registrar,
    component: &'static Compiled,
    request: Request,
}

struct Guest {
    world: Arc<Mutex<World>>,
    sql: Arc<Sql>,
    wasi: WasiCtx,
    resources: ResourceTable,
    limits: StoreLimits,
}

struct Clock(Arc<Mutex<World>>);

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

type Compiled = LazyLock<AppPre<Guest>>;
static REGISTRAR: Compiled = LazyLock::new(|| compile("countersign-registrar-native.wasm"));
static VALIDATOR: Compiled = LazyLock::new(|| compile("countersign-native.wasm"));

fn compile(file: &str) -> AppPre<Guest> {
    let directory =
        env::var_os("COUNTERSIGN_COMPONENTS").expect("COUNTERSIGN_COMPONENTS is not set: run `cargo xtask test`");
    let engine = Engine::new(&Config::new()).unwrap();
    let component = Component::from_file(&engine, Path::new(&directory).join(file)).unwrap();
    let mut linker = Linker::new(&engine);
    App::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest).unwrap();
    sql::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest).unwrap();
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    AppPre::new(linker.instantiate_pre(&component).unwrap()).unwrap()
}

impl Registrar {
    /// An empty database in an empty world, at [`BEGIN`], with the token [`OPERATOR`].
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let world = World {
            now: BEGIN,
            entries: BTreeMap::new(),
            settings: HashMap::from([("admin_token".to_owned(), OPERATOR.to_owned())]),
            is_store_gone: false,
            too_large: BTreeSet::new(),
            end: None,
            faults: VecDeque::new(),
            errors: Vec::new(),
            events: Vec::new(),
            calls: 0,
            puts: 0,
        };
        let sql = Arc::new(Sql::create(directory.path()).unwrap());
        Self { world: Arc::new(Mutex::new(world)), sql, directory: Arc::new(directory) }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub fn pass(&self, seconds: i64) {
        self.world().now += seconds;
    }

    /// A second way to the database, as somebody has who gets at its file.
    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file()).unwrap()
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join(FILE_NAME)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A request with the operator's token.
    pub fn request(&self, method: &str, target: &str) -> Asking<'_> {
        self.anonymous(method, target).token(OPERATOR)
    }

    /// A request with no token.
    pub fn anonymous(&self, method: &str, target: &str) -> Asking<'_> {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let request = Request {
            method: method.into(),
            path: path.into(),
            query: query.map(Into::into),
            authority: None,
            client: Some("192.0.2.1".into()),
            headers: Vec::new(),
            body: Body::Complete(Vec::new()),
        };
        Asking { registrar: self, component: &REGISTRAR, request }
    }

    pub fn get(&self, target: &str) -> Answer {
        self.request("GET", target).send()
    }

    pub fn post(&self, target: &str, body: &Value) -> Answer {
        self.request("POST", target).json(body).send()
    }

    pub fn patch(&self, target: &str, body: &Value) -> Answer {
        self.request("PATCH", target).json(body).send()
    }

    pub fn delete(&self, target: &str) -> Answer {
        self.request("DELETE", target).send()
    }

    /// A new licence of the product `acme`, which is made if it is not there.
    pub fn license(&self) -> Value {
        self.post("/api/v1/products", &json!({ "code": "acme" }));
        self.post("/api/v1/licenses", &json!({ "product": "acme", "plan": "pro" })).expect(201)
    }

    /// What the store has under a key, as a validator would read it.
    pub fn stored(&self, key: &str) -> Option<License> {
        let key = key::read(key).unwrap().store_key();
        self.world().entries.get(&key).map(|entry| License::from_json(&entry.value).unwrap())
    }

    /// What the validator component answers a licence holder, from the same store and at the same time.
    pub fn holder(&self, verb: &str, body: &Value) -> Value {
        let asking = self.anonymous("POST", &format!("/api/v1/{verb}")).json(body);
        Asking { component: &VALIDATOR, ..asking }.send().body
    }

    /// A new token of this role.
    pub fn token(&self, role: &str) -> String {
        let made = self.post("/api/v1/tokens", &json!({ "name": role, "role": role }));
        made.expect(201)["token"].as_str().unwrap().to_owned()
    }
}

impl Asking<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push(Header { name: name.into(), value: value.as_bytes().to_vec() });
        self
    }

    pub fn token(mut self, token: &str) -> Self {
        self.request.headers.retain(|header| header.name != "authorization");
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn client(mut self, address: Option<&str>) -> Self {
        self.request.client = address.map(str::to_owned);
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().as_bytes())
    }

    pub fn body(mut self, media_type: &str, body: &[u8]) -> Self {
        self.request.body = Body::Complete(body.to_vec());
        self.header("content-type", media_type)
    }

    pub fn broken_body(mut self, body: Body) -> Self {
        self.request.body = body;
        self
    }

    /// Sends it to an instance of its own.
    pub fn send(&self) -> Answer {
        let Registrar { world, sql, .. } = self.registrar;
        let wasi = WasiCtx::builder().wall_clock(Clock(world.clone())).inherit_stderr().build();
        let limits = StoreLimitsBuilder::new().memory_size(MAX_REGISTRAR_MEMORY).build();
        let guest = Guest { world: world.clone(), sql: sql.clone(), wasi, resources: ResourceTable::new(), limits };
        let response = RUNTIME.block_on(async {
            let mut store = wasmtime::Store::new(self.component.engine(), guest);
            store.limiter(|guest| &mut guest.limits);
            let app = self.component.instantiate_async(&mut store).await.unwrap();
            app.countersign_license_service().call_handle(&mut store, &self.request).await.unwrap()
        });
        let header = |header: Header| (header.name, String::from_utf8(header.value).unwrap());
        Answer {
            status: response.status,
            headers: response.headers.into_iter().map(header).collect(),
            body: serde_json::from_slice(&response.body).unwrap_or_default(),
            bytes: response.body,
        }
    }
}

impl Answer {
    /// The body of an answer that has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The body of a problem that has this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        assert_eq!(self.body["code"], code, "{}", self.body);
        self.expect(status)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl World {
    /// What becomes of the next call.
    fn fate(&mut self) -> Fate {
        self.calls += 1;
        match &mut self.end {
            None => Fate::Answered,
            Some((0, _)) => Fate::Lost,
            Some((left, is_made)) => {
                *left -= 1;
                match (*left, *is_made) {
                    (0, true) => Fate::Unheard,
                    (0, false) => Fate::Lost,
                    _ => Fate::Answered,
                }
            }
        }
    }
}

#[derive(PartialEq)]
enum Fate {
    Answered,
    /// It is made, and nobody hears of it.
    Unheard,
    Lost,
}

/// Makes a call of the database, if it is to be made.
async fn call_sql<T>(world: &Mutex<World>, call: impl Future<Output = Result<T, sql::Error>>) -> Result<T, sql::Error> {
    let lost = || Err(sql::Error::Unavailable("a fault of the test".into()));
    let fate = {
        let mut world = world.lock().unwrap();
        if let Some(fault) = world.faults.pop_front().flatten() {
            return Err(fault);
        }
        world.fate()
    };
    if fate == Fate::Lost {
        return lost();
    }
    let answer = call.await;
    if let Err(error) = &answer
        && !matches!(error, sql::Error::NoSuchTable)
    {
        world.lock().unwrap().errors.push(error.clone());
    }
    if fate == Fate::Unheard { lost() } else { answer }
}

impl Guest {
    /// Makes a call of the store, if it is to be made.
    fn store<T>(&self, call: impl FnOnce(&mut World) -> Result<T, Error>) -> Result<T, Error> {
        let lost = || Err(Error::Unavailable("a fault of the test".into()));
        let mut world = self.world.lock().unwrap();
        let fate = world.fate();
        if fate == Fate::Lost || world.is_store_gone {
            return lost();
        }
        let answer = call(&mut world);
        if fate == Fate::Unheard { lost() } else { answer }
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

impl sql::Host for Guest {
    async fn query(&mut self, statement: sql::Statement) -> Result<Vec<sql::Row>, sql::Error> {
        call_sql(&self.world, self.sql.query(statement)).await
    }

    async fn execute(&mut self, statement: sql::Statement) -> Result<Vec<sql::Row>, sql::Error> {
        call_sql(&self.world, self.sql.execute(statement)).await
    }

    async fn batch(&mut self, statements: Vec<sql::Statement>) -> Result<sql::Outcome, sql::Error> {
        call_sql(&self.world, self.sql.batch(statements)).await
    }
}

impl store::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<Entry>, Error> {
        self.store(|world| Ok(world.entries.get(&key).cloned()))
    }

    async fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
        _: Option<u32>,
    ) -> Result<Outcome, Error> {
        self.store(|world| {
            if world.too_large.contains(&key) {
                return Err(Error::TooLarge);
            }
            world.puts += 1;
            let present = world.entries.get(&key).cloned();
            let holds = match expect {
                Expectation::Any => true,
                Expectation::Absent => present.is_none(),
                Expectation::Matches(version) => present.as_ref().is_some_and(|entry| entry.version == version),
            };
            if !holds {
                return Ok(Outcome::Conflict(present));
            }
            let version = world.puts as u64;
            world.entries.insert(key, Entry { value, version });
            Ok(Outcome::Stored(Some(version)))
        })
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        self.store(|world| {
            world.entries.remove(&key);
            Ok(())
        })
    }

    fn list_keys(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Result<Page, Error> {
        self.store(|world| {
            let after = world.entries.keys().filter(|key| cursor.as_ref().is_none_or(|cursor| *key > cursor));
            let keys = after.filter(|key| key.starts_with(&prefix)).take(limit as usize + 1).cloned().collect();
            let (keys, next) = countersign::seam::page(keys, limit);
            Ok(Page { keys, next })
        })
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

impl settings::Host for Guest {
    fn get(&mut self, name: String) -> Result<Option<String>, settings::Error> {
        Ok(self.world.lock().unwrap().settings.get(&name).cloned())
    }
}

impl journal::Host for Guest {
    fn append(&mut self, event: journal::Event) {
        self.world.lock().unwrap().events.extend(borrow_event!(event).to_line());
    }
}
