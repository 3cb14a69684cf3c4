//! Which app serves which path.

use std::sync::Arc;

use countersign::routes::{self, HEALTHZ, READYZ, canonical};
use serde::Deserialize;

use crate::bindings::service::{Request, Response};
use crate::engine::{Engine, Failure};
use crate::limiter::Limiter;
use crate::registrar::Registrar;

/// The apps of a listener.
pub struct Apps {
    table: Vec<(Paths, App)>,
    /// Serves every path that is not in the table. Unknown paths get its 404.
    others: App,
    limiter: Arc<Limiter>,
}

/// Whether an app serves a path.
type Paths = fn(&str) -> bool;

/// An app that answers requests.
pub(super) enum App {
    Validator(Arc<Engine>),
    Registrar(Arc<Registrar>),
}

/// What both a verdict and a problem have.
#[derive(Deserialize)]
struct Coded<'a> {
    code: &'a str,
}

impl Apps {
    /// The registrar serves the vendors' paths, the validator all others. The limiter slows down
    /// addresses that send unknown keys.
    pub fn new(validator: Arc<Engine>, registrar: Option<Arc<Registrar>>, limiter: Arc<Limiter>) -> Self {
        let registrar = registrar.map(|registrar| (routes::is_vendors as Paths, App::Registrar(registrar)));
        Self { table: registrar.into_iter().collect(), others: App::Validator(validator), limiter }
    }

    pub(super) fn of(&self, path: &str) -> &App {
        self.table.iter().find(|(serves, _)| serves(path)).map_or(&self.others, |(_, app)| app)
    }

    pub(super) fn limiter(&self) -> &Limiter {
        &self.limiter
    }
}

impl App {
    /// Whether requests name the client's address: the registrar slows down addresses that send
    /// wrong tokens. The validator does not know who its clients are.
    pub(super) fn sees_client(&self) -> bool {
        matches!(self, Self::Registrar(_))
    }

    /// Whether the request is answered even while as many as may be are being answered: health
    /// checks, and those of a caller who has shown a right token.
    pub(super) fn is_privileged(&self, request: &Request) -> bool {
        match self {
            Self::Validator(_) => [HEALTHZ, READYZ].contains(&canonical(&request.path)),
            Self::Registrar(registrar) => registrar.knows(request),
        }
    }

    /// Whether the answer says that no licence has the request's key. A key that is only mistyped
    /// is another answer, and no guess.
    pub(super) fn is_unknown_key(&self, response: &Response) -> bool {
        let code = || serde_json::from_slice(&response.body).map(|Coded { code }| code).unwrap_or_default();
        matches!(self, Self::Validator(_)) && response.status == 404 && code() == "NOT_FOUND"
    }

    pub(super) async fn call(&self, request: &Request) -> Result<Response, Failure> {
        match self {
            Self::Validator(engine) => engine.call(request).await,
            Self::Registrar(registrar) => registrar.call(request).await,
        }
    }
}
