//! The description of both apps, for programs.

use crate::answer;
use crate::bindings::exports::countersign::license::service::Response;

const DOCUMENT: &str = include_str!("../../../../openapi.json");

/// `GET /openapi.json`, which takes no token.
pub(crate) fn get() -> Response {
    answer::with_body(200, "application/json", DOCUMENT.into())
}
