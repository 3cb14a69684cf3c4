//! Which app serves which path.

use std::sync::Arc;

use countersign::routes;

use crate::bindings::service::{Request, Response};
use crate::engine::{Engine, Failure};
use crate::registrar::Registrar;

/// The apps of a server.
pub struct Apps {
    table: Vec<(Paths, App)>,
    /// Serves every path that is not in the table. Unknown paths get its 404.
    others: App,
}

/// Whether an app serves a path.
type Paths = fn(&str) -> bool;

/// An app that answers requests.
pub(super) enum App {
    Validator(Engine),
    Registrar(Arc<Registrar>),
}

impl Apps {
    /// The registrar serves the vendors' paths, the validator all others.
    pub fn new(validator: Engine, registrar: Option<Arc<Registrar>>) -> Self {
        let registrar = registrar.map(|registrar| (routes::is_vendors as Paths, App::Registrar(registrar)));
        Self { table: registrar.into_iter().collect(), others: App::Validator(validator) }
    }

    pub(super) fn of(&self, path: &str) -> &App {
        self.table.iter().find(|(serves, _)| serves(path)).map_or(&self.others, |(_, app)| app)
    }
}

impl App {
    /// Whether requests name the client's address: the registrar slows down addresses that send
    /// wrong tokens. The validator does not know who its clients are.
    pub(super) fn sees_client(&self) -> bool {
        matches!(self, Self::Registrar(_))
    }

    pub(super) async fn call(&self, request: &Request) -> Result<Response, Failure> {
        match self {
            Self::Validator(engine) => engine.call(request).await,
            Self::Registrar(registrar) => registrar.call(request).await,
        }
    }
}
