//! The description of both apps, for programs.

use crate::wire::Response;
use crate::wire::answer;

const DOCUMENT: &str = include_str!("../../../../../openapi.json");

/// `GET /openapi.json`, which takes no token.
pub(crate) fn get() -> Response {
    answer::with_body(200, "application/json", DOCUMENT.into())
}
