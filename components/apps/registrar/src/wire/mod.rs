//! The parts of requests and responses that only this app has. Nothing here depends on a resource
//! or on the database.

pub(crate) mod answer;
pub(crate) mod etag;
pub(crate) mod page;
pub(crate) mod problem;
pub(crate) mod query;

pub(crate) use countersign_app_common::service::{Body, Request, Response};
