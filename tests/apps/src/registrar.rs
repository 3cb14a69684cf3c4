//! The registrar over its own database, and the validator over the same store.
//!
//! Every request gets a new instance, so a test may send any number at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use countersign::key;
use countersign::license::License;
use countersign_host::bindings::AppPre;
use countersign_host::bindings::service::{Body, Header, Request};
use countersign_host::imports::sql::{FILE_NAME, Sql};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::guest::{Guest, REGISTRAR, RUNTIME, VALIDATOR, lock};
use crate::world::World;

/// The operator's token, from the setting `admin_token`. Its role is `admin`.
pub const OPERATOR: &str = "the operator's token, which is long enough";

/// The time at which every registrar starts: 2026-11-22T10:00:00Z.
pub const BEGIN: i64 = 1_795_341_600;

/// The registrar with its database and its world. Clones share both.
#[derive(Clone)]
pub struct Registrar {
    world: Arc<Mutex<World>>,
    sql: Arc<Sql>,
    directory: Arc<TempDir>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, by their names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub bytes: Vec<u8>,
    /// The body as JSON, or null if it is not JSON.
    pub body: Value,
}

/// A request under construction.
pub struct Draft<'a> {
    registrar: &'a Registrar,
    component: &'static AppPre<Guest>,
    request: Request,
}

impl Registrar {
    /// An empty database in an empty world, at [`BEGIN`], with the token [`OPERATOR`].
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = HashMap::from([("admin_token".to_owned(), OPERATOR.to_owned())]);
        let world = World { now: BEGIN, settings, ..World::default() };
        let sql = Arc::new(Sql::create(directory.path()).unwrap());
        Self { world: Arc::new(Mutex::new(world)), sql, directory: Arc::new(directory) }
    }

    /// The world around it.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Moves the clock ahead.
    pub fn advance(&self, seconds: i64) {
        self.world().now += seconds;
    }

    /// Another connection to the database's file.
    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file()).unwrap()
    }

    /// The database's file.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join(FILE_NAME)
    }

    /// The database's directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A request with the operator's token.
    pub fn request(&self, method: &str, target: &str) -> Draft<'_> {
        self.anonymous(method, target).token(OPERATOR)
    }

    /// A request with no token.
    pub fn anonymous(&self, method: &str, target: &str) -> Draft<'_> {
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
        Draft { registrar: self, component: &REGISTRAR, request }
    }

    /// Sends a GET with the operator's token.
    pub fn get(&self, target: &str) -> Answer {
        self.request("GET", target).send()
    }

    /// Sends a POST with the operator's token.
    pub fn post(&self, target: &str, body: &Value) -> Answer {
        self.request("POST", target).json(body).send()
    }

    /// Sends a PATCH with the operator's token.
    pub fn patch(&self, target: &str, body: &Value) -> Answer {
        self.request("PATCH", target).json(body).send()
    }

    /// Sends a DELETE with the operator's token.
    pub fn delete(&self, target: &str) -> Answer {
        self.request("DELETE", target).send()
    }

    /// Issues a licence of the product `acme`, which it creates if need be.
    pub fn issue(&self) -> Value {
        self.post("/api/v1/products", &json!({ "code": "acme" }));
        self.post("/api/v1/licenses", &json!({ "product": "acme", "plan": "pro" })).expect(201)
    }

    /// The licence that the store holds for a key.
    pub fn stored(&self, key: &str) -> Option<License> {
        let key = key::read(key).unwrap().store_key();
        self.world().entries.get(&key).map(|entry| License::from_json(&entry.value).unwrap())
    }

    /// The validator's answer to a licence holder, from the same store at the same time.
    pub fn holder(&self, verb: &str, body: &Value) -> Value {
        let draft = self.anonymous("POST", &format!("/api/v1/{verb}")).json(body);
        Draft { component: &VALIDATOR, ..draft }.send().body
    }

    /// Creates a token of this role and returns its text.
    pub fn token(&self, role: &str) -> String {
        let created = self.post("/api/v1/tokens", &json!({ "name": role, "role": role }));
        created.expect(201)["token"].as_str().unwrap().to_owned()
    }
}

impl Draft<'_> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push(Header { name: name.into(), value: value.as_bytes().to_vec() });
        self
    }

    /// Replaces the token.
    pub fn token(mut self, token: &str) -> Self {
        self.request.headers.retain(|header| header.name != "authorization");
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sets the client's address, which the host supplies.
    pub fn client(mut self, address: Option<&str>) -> Self {
        self.request.client = address.map(str::to_owned);
        self
    }

    /// Sets the body and its type.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().as_bytes())
    }

    /// Sets the body and its type.
    pub fn body(mut self, media_type: &str, body: &[u8]) -> Self {
        self.request.body = Body::Complete(body.to_vec());
        self.header("content-type", media_type)
    }

    /// Sets a body that the shell could not read to its end.
    pub fn broken_body(mut self, body: Body) -> Self {
        self.request.body = body;
        self
    }

    /// Sends it to a new instance. The same request can be sent again.
    pub fn send(&self) -> Answer {
        let Registrar { world, sql, .. } = self.registrar;
        let guest = Guest::new(world.clone(), Some(sql.clone()));
        let response = RUNTIME.block_on(async {
            let mut store = guest.into_store(self.component.engine());
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
    /// The body. Panics unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The body. Panics unless it is a problem with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        assert_eq!(self.body["code"], code, "{}", self.body);
        self.expect(status)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}
