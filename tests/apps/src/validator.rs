//! The validator: one instance, for any number of requests.

use std::sync::{Arc, Mutex, MutexGuard};

use countersign_host::bindings::App;
use countersign_host::bindings::service::{Body, Header, Request};
use serde_json::Value;
use wasmtime::Store;

use crate::guest::{Guest, RUNTIME, VALIDATOR, lock};
use crate::world::World;

/// One instance of the component.
pub struct Validator {
    world: Arc<Mutex<World>>,
    store: Store<Guest>,
    app: App,
}

impl Validator {
    /// A new instance in an empty world, in 1970.
    pub fn start() -> Self {
        let world = Arc::<Mutex<World>>::default();
        let mut store = Guest::new(world.clone(), None).into_store(VALIDATOR.engine());
        let app = RUNTIME.block_on(VALIDATOR.instantiate_async(&mut store)).unwrap();
        Self { world, store, app }
    }

    /// The world around it.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
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
}
