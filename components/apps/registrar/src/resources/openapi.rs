//! The description of both apps, for programs.

use countersign_app_common::answer::with_body;

use crate::wire::Response;

const DOCUMENT: &str = include_str!("../../../../../openapi.json");

/// `GET /openapi.json`, which needs no token.
pub(crate) fn get() -> Response {
    with_body(200, "application/json", DOCUMENT.into())
}
