//! The API over HTTP.

use std::net::IpAddr;
use std::sync::Arc;

use crate::limits::{API_ANSWER_TIMEOUT, API_CONNECT_TIMEOUT, MAX_API_ANSWER_BYTES};
use ureq::http::header::AUTHORIZATION;
use ureq::http::{self, HeaderValue, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error};

use super::{Answer, ApiError, Request};

/// A server and the token for it. Its connections are kept, and shared between threads.
pub(crate) struct Remote {
    agent: Agent,
    /// Scheme, host and what the server's paths begin with, without a slash at its end.
    base: String,
    token: Option<Token>,
}

/// A bearer token. It is never printed: there is no `Debug`.
pub(crate) struct Token(HeaderValue);

impl Token {
    /// Reads the token from a text that may end with a line's end.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let mut value = HeaderValue::from_str(&format!("Bearer {text}")).ok().filter(|_| is_token)?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

impl Remote {
    /// A server by its URL. Over plain HTTP a token goes to this machine alone, or wherever `allow_plain` lets it.
    pub(crate) fn new(url: &str, token: Option<Token>, allow_plain: bool) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| "the server's address is no URL")?;
        let host = uri.host().ok_or("the server's address has no host, such as https://licences.example.com")?;
        if uri.query().is_some() || uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("the server's address has a query, a name or a password: it takes a host and a path".into());
        }
        let is_plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") => true,
            _ => return Err("the server's address begins with neither https:// nor http://".into()),
        };
        if is_plain && !allow_plain && !is_loopback(host) {
            return Err("over plain HTTP others could read the token: use https://, or say `--insecure-http`".into());
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
            .timeout_global(Some(API_ANSWER_TIMEOUT))
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        if is_plain {
            // A proxy would read along.
            config = config.proxy(None);
        }
        Ok(Self { agent: config.build().into(), base: url.trim_end_matches('/').to_owned(), token })
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
        response.and_then(answer).map_err(|error| match error {
            Error::Io(_) | Error::Timeout(_) | Error::HostNotFound | Error::ConnectionFailed | Error::Protocol(_) => {
                ApiError::NoAnswer(format!("{} does not answer: {error}", self.base))
            }
            error => ApiError::Unusable(format!("{} cannot be asked: {error}", self.base)),
        })
    }
}

fn answer(mut response: http::Response<Body>) -> Result<Answer, Error> {
    let headers = response.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    Ok(Answer {
        status: response.status().as_u16(),
        headers: headers.collect(),
        body: response.body_mut().with_config().limit(MAX_API_ANSWER_BYTES).read_to_vec()?,
    })
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
    fn plain_http_is_for_this_machine() {
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
    fn an_address_is_a_scheme_a_host_and_a_path() {
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
