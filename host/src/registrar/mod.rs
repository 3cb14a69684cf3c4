//! The registrar, the vendors' app, in this process.
//!
//! [`Registrar`] is the component with its database, and with a token that the host itself uses.
//! [`Local`] is the same for a program that is not a server, such as the command line. [`chores`]
//! is what a server does for its registrar in the background.

mod callers;
pub mod chores;
mod local;

use std::path::Path;
use std::sync::Arc;

use countersign::routes::{OPENAPI, ORIGIN, canonical};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use self::callers::Callers;
use crate::bindings::service::{Body, Header, Request, Response};
use crate::bindings::sql;
use crate::engine::{Bounds, Engine, Failure, Machine};
use crate::imports::{Grants, Imports, journal::Journal, settings::Settings, sql::Sql, store::Shared};
use crate::limits::{MAX_REGISTRAR_MEMORY, REGISTRAR_CALLS, REGISTRAR_DEADLINE, STRANGERS_CALLS, WARM_REGISTRARS};

pub use local::{Local, OpenError};

/// The setting in which the component gets the host's own token.
const HOST_TOKEN: &str = "host_token";

/// The component, its database, and the right to call it as the host.
pub struct Registrar {
    engine: Engine,
    token: String,
    callers: Callers,
    /// Permits for the calls of known callers.
    calls: Semaphore,
    /// Permits for all other calls.
    strangers_calls: Semaphore,
    changed: Notify,
}

/// Why the registrar cannot be loaded. The texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its database cannot be created.
    #[error("cannot create the registrar's database: {0}")]
    Sql(sql::Error),
    /// The system has no random bits for the host's token.
    #[error("cannot generate the host's token: {0}")]
    Random(#[from] getrandom::Error),
    /// The file does not exist, is not a valid component, or imports what this host does not grant.
    #[error("cannot run {0}: {1:#}")]
    Component(std::path::PathBuf, wasmtime::Error),
}

/// Why a request of the host itself has no result.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There was no answer. Whether the request was carried out is unknown.
    #[error("the registrar did not answer: {0}")]
    Silent(Failure),
    /// The answer was a problem (RFC 9457): its status and text. Nothing was done.
    #[error("the registrar answered with status {0}: {1}")]
    Refused(u16, String),
}

impl Registrar {
    /// Runs the component over the database of a data directory. Creates the database if it does
    /// not exist.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn load(
        machine: &Machine,
        component: &Path,
        data: &Path,
        shared: Arc<Shared>,
        settings: Settings,
        journal: Journal,
    ) -> Result<Self, LoadError> {
        let sql = Arc::new(Sql::create(data).map_err(LoadError::Sql)?);
        let token = token()?;
        let settings = settings.with(HOST_TOKEN, token.clone());
        let imports = Imports::new(shared, settings, journal, Grants::registrar(sql));
        let bounds = Bounds { deadline: REGISTRAR_DEADLINE, memory: MAX_REGISTRAR_MEMORY, warm: WARM_REGISTRARS };
        let engine = machine.load(component, imports, bounds).await;
        let engine = engine.map_err(|error| LoadError::Component(component.to_owned(), error))?;
        Ok(Self {
            engine,
            token,
            callers: Callers::default(),
            calls: Semaphore::new(REGISTRAR_CALLS),
            strangers_calls: Semaphore::new(STRANGERS_CALLS),
            changed: Notify::new(),
        })
    }

    /// Whether the request has a token that was accepted before.
    pub fn knows(&self, request: &Request) -> bool {
        self.callers.know(&request.headers)
    }

    /// Passes on a client's request. Those of known callers do not queue behind others, who may
    /// only be guessing.
    ///
    /// # Errors
    /// [`Failure`]; also if the request waited too long for its turn.
    pub async fn call(&self, request: &Request) -> Result<Response, Failure> {
        let calls = if self.knows(request) { &self.calls } else { &self.strangers_calls };
        let permit = timeout(REGISTRAR_DEADLINE, calls.acquire()).await.map_err(|_| Failure::Deadline)?;
        let answer = self.engine.call(request).await;
        drop(permit);
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        if proves_token(&request.path, status) {
            self.callers.note(&request.headers, true);
        } else if status == 401 {
            self.callers.note(&request.headers, false);
        }
        // What edges ask adds nothing to the outbox.
        if request.method != "GET" && !canonical(&request.path).starts_with(ORIGIN) {
            self.changed.notify_one();
        }
        answer
    }

    /// Sends a request of the host itself, which does not queue behind those of clients. Returns
    /// the body of a 2xx.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Result<Value, Refusal> {
        let body = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let answer = self.engine.call(&self.request(method, target, &[], body)).await.map_err(Refusal::Silent)?;
        let Response { status, body, .. } = answer;
        let body = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let text = |name: &str| body[name].as_str().unwrap_or("-").to_owned();
        Err(Refusal::Refused(status, format!("{} ({}, {})", text("detail"), text("code"), text("reason"))))
    }

    /// Creates the first token, with all rights, for the operator. Returns `None` if the registrar
    /// already has tokens.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn first_token(&self) -> Result<Option<String>, Refusal> {
        let tokens = self.ask("GET", "/api/v1/tokens?limit=1", None).await?;
        if tokens["items"].as_array().is_none_or(|items| !items.is_empty()) {
            return Ok(None);
        }
        let made = self.ask("POST", "/api/v1/tokens", Some(&json!({ "name": "first", "role": "admin" }))).await?;
        Ok(made["token"].as_str().map(str::to_owned))
    }

    /// A request with the host's token.
    fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Request {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let header = |(name, value): (&str, &str)| Header { name: name.into(), value: value.as_bytes().to_vec() };
        let mut headers: Vec<_> = headers.iter().copied().map(header).collect();
        if !body.is_empty() && !headers.iter().any(|header| header.name == "content-type") {
            headers.push(header(("content-type", "application/json")));
        }
        headers.push(header(("authorization", &format!("Bearer {}", self.token))));
        Request {
            method: method.into(),
            path: path.into(),
            query: query.map(Into::into),
            authority: None,
            client: None,
            headers,
            body: Body::Complete(body),
        }
    }
}

/// 256 random bits in hexadecimal.
fn token() -> Result<String, getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    Ok(countersign::hex::encode(&bits))
}

/// Whether an answer of this status proves that the request's token is right: every path but one
/// needs a token, and fails without.
fn proves_token(path: &str, status: u16) -> bool {
    (200..300).contains(&status) && canonical(path) != OPENAPI
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_needs_no_token_proves_none() {
        for path in ["/openapi.json", "/openapi.json/", "//openapi.json"] {
            assert!(!proves_token(path, 200), "{path}");
        }
        let proven = |status| proves_token("/api/v1/products", status);
        assert!([200, 201, 204].into_iter().all(proven));
        assert!(![0, 400, 401, 403, 404, 429, 503].into_iter().any(proven));
    }
}
