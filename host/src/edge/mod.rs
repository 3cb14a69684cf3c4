//! An edge: a validator whose store remembers what an origin has.
//!
//! [`Origin`] is the origin as this process reaches it: it sends the component's requests, and
//! knows up to when all changes of licences have arrived. [`follow`] makes them arrive, and
//! [`report`] sends the counts of validations.
//!
//! What may be used unconfirmed, and what replaces what, is decided by the component `tiered`, also
//! for what [`follow`] brings.

mod follow;
mod report;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ureq::http::Request;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error as ClientError};

use crate::bindings::fetch::{self, Error, Response};
use crate::limits::{IDLE_ORIGIN_CONNECTIONS, ORIGIN_CONNECT_TIMEOUT};

pub use follow::follow;
pub use report::report;

/// The settings by which the component knows its origin.
pub const URL: &str = "origin_url";
/// The same for its token.
pub const TOKEN: &str = "origin_token";

/// The key in near under which the component finds the last moment up to which near has all
/// changes: seconds since 1970, in eight bytes. It is answered from memory.
pub(crate) const CURRENT: &str = "edge:current";

/// An origin, and how current this edge is. No `Debug`, as it has the token.
pub struct Origin {
    agent: Agent,
    /// Without a slash at its end.
    base: String,
    token: String,
    /// 0 if it is not known.
    current: AtomicU64,
}

impl Origin {
    /// The origin at this address, which the caller has checked: the token is sent there.
    pub fn new(base: &str, token: String) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(ORIGIN_CONNECT_TIMEOUT))
            .max_idle_connections(IDLE_ORIGIN_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_ORIGIN_CONNECTIONS)
            .user_agent(concat!("countersign-edge/", env!("CARGO_PKG_VERSION")));
        let base = base.trim_end_matches('/').to_owned();
        // A proxy could read the token.
        let config = if base.starts_with("http://") { config.proxy(None) } else { config };
        Self { agent: config.build().into(), base, token, current: AtomicU64::new(0) }
    }

    /// The address, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The last moment up to which near has all changes, in seconds since 1970, if it is known.
    pub(crate) fn current(&self) -> Option<u64> {
        Some(self.current.load(Ordering::Relaxed)).filter(|current| *current != 0)
    }

    fn set_current(&self, seconds: u64) {
        self.current.store(seconds, Ordering::Relaxed);
    }

    /// Sends a request to the origin, and to nobody else. Blocks.
    ///
    /// # Errors
    /// Those of `wit/fetch.wit`.
    pub(crate) fn send(&self, request: fetch::Request) -> Result<Response, Error> {
        let is_origins = request.url.strip_prefix(&self.base).is_some_and(|rest| rest.starts_with('/'));
        if !is_origins {
            return Err(Error::Denied);
        }
        let mut draft = Request::builder().method(request.method.as_str()).uri(&request.url);
        for header in &request.headers {
            draft = draft.header(&header.name, &header.value);
        }
        let timeout = Duration::from_millis(request.timeout_millis.max(1).into());
        let draft = draft.body(request.body).map_err(|_| Error::InvalidRequest)?;
        let draft = self.agent.configure_request(draft).timeout_global(Some(timeout)).build();
        let mut answer = self.agent.run(draft).map_err(|error| failure(&error))?;
        let most = u64::from(request.max_body_bytes);
        let mut body = Vec::new();
        // The bound is on what is read here, not on what the server says that it sends.
        answer.body_mut().as_reader().take(most + 1).read_to_end(&mut body).map_err(|error| {
            let timed_out = error.get_ref().and_then(|cause| cause.downcast_ref()).is_some_and(is_timeout);
            if timed_out { Error::Timeout } else { Error::Unreachable(error.to_string()) }
        })?;
        if body.len() as u64 > most {
            return Err(Error::TooLarge);
        }
        Ok(Response { status: answer.status().as_u16(), body })
    }
}

fn failure(error: &ClientError) -> Error {
    if is_timeout(error) { Error::Timeout } else { Error::Unreachable(error.to_string()) }
}

fn is_timeout(error: &ClientError) -> bool {
    matches!(error, ClientError::Timeout(_))
}
