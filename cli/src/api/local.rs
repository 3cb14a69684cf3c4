//! The API in this process.

use std::path::Path;

use countersign_host::registrar::Local;

use super::{Answer, ApiError, Request};

/// The registrar of a data directory.
pub(crate) struct LocalApi(Local);

impl LocalApi {
    /// The registrar of a data directory. With `create`, a missing directory is created.
    ///
    /// `component` is the file of the component, `cache` the directory of compiled code; without
    /// them, the host's defaults apply.
    pub(crate) fn new(
        directory: &Path,
        create: bool,
        component: Option<&Path>,
        cache: Option<&Path>,
    ) -> Result<Self, ApiError> {
        let open = if create { Local::create } else { Local::open };
        open(directory, component, cache).map(Self).map_err(|error| ApiError::Unusable(error.to_string()))
    }

    /// Sends a request once.
    pub(crate) fn call(&self, request: &Request) -> Result<Answer, ApiError> {
        let headers: Vec<_> = request.headers().collect();
        let body = request.body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default();
        let response = self.0.call(request.method, &request.path, &headers, body);
        let response = response.map_err(|failure| ApiError::NoAnswer(failure.to_string()))?;
        let text = |value: Vec<u8>| String::from_utf8(value).ok();
        let headers = response.headers.into_iter();
        let headers = headers.filter_map(|header| Some((header.name, text(header.value)?))).collect();
        Ok(Answer { status: response.status, headers, body: response.body, server: None })
    }
}
