//! The registrar in this process: the vendor's app, as the server, the host itself and the command line call it.
//!
//! [`Registrar`] is the component with its database and a token of the host's own; [`Local`] is that for a program that serves nobody.
//! [`chores`] is what a server does for it meanwhile.

pub mod chores;
mod local;

use std::path::Path;
use std::sync::Arc;

use countersign::routes;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::bindings::service::{Body, Header, Request, Response};
use crate::bindings::sql;
use crate::engine::{Bounds, Engine, Failure, Machine};
use crate::imports::{Imports, Shared};
use crate::journal::Journal;
use crate::limits::{MAX_REGISTRAR_MEMORY, REGISTRAR_CALLS, REGISTRAR_DEADLINE, WARM_REGISTRARS};
use crate::settings::Settings;
use crate::sql::Sql;

pub use local::{Local, OpenError};

/// The setting by which the component is told the host's own token.
const HOST_TOKEN: &str = "host_token";

/// The component, its database, and the right to call it as the host.
pub struct Registrar {
    engine: Engine,
    token: String,
    calls: Semaphore,
    changed: Notify,
}

/// Why the registrar cannot be had. The texts are for an operator.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its database cannot be made.
    #[error("the registrar's database cannot be made: {0}")]
    Sql(sql::Error),
    /// The system gives no random bits.
    #[error("there are no random bits for the host's token: {0}")]
    Random(#[from] getrandom::Error),
    /// The file is not there, is no component, or asks what it is not given.
    #[error("cannot run {0}: {1:#}")]
    Component(std::path::PathBuf, wasmtime::Error),
}

/// Why what the host asked of the registrar was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There was no answer: whether it was done is not known.
    #[error("the registrar did not answer: {0}")]
    Silent(Failure),
    /// The answer was a problem (RFC 9457), or none that is understood. Nothing was done.
    #[error("the registrar answered {0}: {1}")]
    Refused(u16, String),
}

impl Registrar {
    /// Runs the component over the database of a data directory, which is made if it is not there.
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
        let imports = Imports::of_registrar(shared, settings, journal, sql);
        let bounds = Bounds { deadline: REGISTRAR_DEADLINE, memory: MAX_REGISTRAR_MEMORY, warm: WARM_REGISTRARS };
        let engine = machine.load(component, imports, bounds).await;
        let engine = engine.map_err(|error| LoadError::Component(component.to_owned(), error))?;
        Ok(Self { engine, token, calls: Semaphore::new(REGISTRAR_CALLS), changed: Notify::new() })
    }

    /// Whether a path is the registrar's and not the validator's.
    pub fn has(path: &str) -> bool {
        routes::is_vendors(path)
    }

    /// Passes a client's request on.
    pub async fn call(&self, request: &Request) -> Result<Response, Failure> {
        let place = timeout(REGISTRAR_DEADLINE, self.calls.acquire()).await.map_err(|_| Failure::Deadline)?;
        let answer = self.engine.call(request).await;
        drop(place);
        if request.method != "GET" {
            self.changed.notify_one();
        }
        answer
    }

    /// Asks as the host itself, past the line of clients. The answer is the body of a 2xx.
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

    /// The first token, with all rights, if there is none yet: what an operator begins with.
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
    Ok(bits.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_differ() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert!(one.len() == 64 && one != other);
    }
}
