//! The API over HTTP.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::{API_ANSWER_TIMEOUT, API_CONNECT_TIMEOUT, MAX_API_ANSWER_BYTES};
use ureq::http::header::AUTHORIZATION;
use ureq::http::{self, HeaderValue, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error};

use super::{Answer, ApiError, Request};

/// A server and the token for it. Threads share its open connections.
pub(crate) struct Remote {
    agent: Agent,
    /// Scheme, host and the prefix of all paths, without a slash at the end.
    base: Arc<str>,
    token: Option<Token>,
    bounds: Bounds,
}

/// What an answer may take.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) time: Duration,
    pub(crate) bytes: u64,
}

/// A bearer token. It is never printed: there is no `Debug`.
pub(crate) struct Token(HeaderValue);

impl Token {
    /// Reads a token: one word of visible ASCII, which a newline may follow.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let mut value = HeaderValue::from_str(&format!("Bearer {text}")).ok().filter(|_| is_token)?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

impl Remote {
    /// A server by its URL. Plain HTTP is for this machine, unless `allow_plain` is set.
    pub(crate) fn new(url: &str, token: Option<Token>, allow_plain: bool) -> Result<Self, String> {
        let bounds = Bounds { time: API_ANSWER_TIMEOUT, bytes: MAX_API_ANSWER_BYTES };
        Self::within(bounds, url, token, allow_plain)
    }

    /// The same, with other bounds.
    pub(crate) fn within(bounds: Bounds, url: &str, token: Option<Token>, allow_plain: bool) -> Result<Self, String> {
        let uri: Uri = url
            .parse()
            .map_err(|_| "the server address is not a valid URL; write it as https://licences.example.com")?;
        let host = uri.host().ok_or("the server address has no host; write it as https://licences.example.com")?;
        if uri.query().is_some() || uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("the server address has a query or credentials; it may have a host, a port and a path".into());
        }
        let is_plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") => true,
            _ => return Err("the server address must begin with https:// or http://".into()),
        };
        if is_plain && !allow_plain && !is_loopback(host) {
            return Err(
                "plain HTTP would expose the token or key; use https://, or allow it with `--insecure-http`".into()
            );
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(API_CONNECT_TIMEOUT))
            .timeout_global(Some(bounds.time))
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        if is_plain {
            // A proxy could read the token or key.
            config = config.proxy(None);
        }
        Ok(Self { agent: config.build().into(), base: url.trim_end_matches('/').into(), token, bounds })
    }

    /// Scheme, host and the prefix of all paths, without a slash at the end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request once.
    pub(crate) fn call(&self, request: &Request) -> Result<Answer, ApiError> {
        let mut built = http::Request::builder().method(request.method).uri(format!("{}{}", self.base, request.path));
        for (name, value) in request.headers() {
            built = built.header(name, value);
        }
        if let Some(token) = &self.token {
            built = built.header(AUTHORIZATION, token.0.clone());
        }
        let response = match &request.body {
            Some(body) => {
                built.body(body.bytes.as_slice()).map_err(Error::from).and_then(|built| self.agent.run(built))
            }
            None => built.body(()).map_err(Error::from).and_then(|built| self.agent.run(built)),
        };
        response.and_then(|response| self.answer(response)).map_err(|error| match error {
            // A certificate that is not believed is the same at the next attempt.
            Error::Io(error) if is_of_tls(&error) => {
                ApiError::Unusable(format!("cannot connect to {}: {error}", self.base))
            }
            Error::BodyExceedsLimit(bytes) => ApiError::Foreign(format!(
                "{} does not look like a Countersign server: it answered with more than {bytes} bytes; check the \
                 address",
                self.base
            )),
            Error::Io(_) | Error::Timeout(_) | Error::HostNotFound | Error::ConnectionFailed | Error::Protocol(_) => {
                ApiError::NoAnswer(format!("{} did not answer: {error}", self.base))
            }
            error => ApiError::Unusable(format!("cannot connect to {}: {error}", self.base)),
        })
    }

    fn answer(&self, mut response: http::Response<Body>) -> Result<Answer, Error> {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let headers = response.headers().iter();
        let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?)));
        Ok(Answer {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: response.body_mut().with_config().limit(self.bounds.bytes).read_to_vec()?,
            server: Some(self.base.clone()),
        })
    }
}

/// Whether the server's side of TLS is at fault, which rustls reports as an error of input.
fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<rustls::Error>())
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(url: &str) -> bool {
        Remote::new(url, None, false).is_err()
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for url in ["http://127.0.0.1:3000", "http://localhost:3000/", "http://[::1]:3000", "https://example.com/base"]
        {
            assert!(!refuses(url), "{url}");
        }
        for url in
            ["http://example.com", "http://127.0.0.1.example.com", "http://localhost.example.com", "http://10.0.0.1"]
        {
            assert!(refuses(url), "{url}");
            assert!(Remote::new(url, None, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_server_address_is_a_scheme_a_host_and_a_path() {
        for url in [
            "",
            "example.com",
            "/api",
            "ftp://example.com",
            "https://",
            "https://a@example.com",
            "https://example.com/?a",
        ] {
            assert!(refuses(url), "{url}");
        }
    }

    #[test]
    fn a_token_is_one_word() {
        assert!(Token::parse("cst_1\n").is_some());
        for text in ["", "\n", "a b", "a\nb", "ä"] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }
}
