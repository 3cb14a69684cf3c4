//! HTTP in and out, beside what all apps share: what a request carries and what a response
//! consists of. Nothing here knows a resource or the database.

pub(crate) mod answer;
pub(crate) mod etag;
pub(crate) mod page;
pub(crate) mod problem;
pub(crate) mod query;

pub(crate) use countersign_app_common::service::{Body, Request, Response};
