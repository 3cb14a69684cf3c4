//! HTTP in and out: what a request carries and what a response consists of. Nothing here knows a resource or the database.

pub(crate) mod answer;
pub(crate) mod etag;
pub(crate) mod fields;
pub(crate) mod headers;
mod merge;
pub(crate) mod page;
pub(crate) mod problem;
pub(crate) mod query;

pub(crate) use crate::bindings::exports::countersign::license::service::{Body, Header, Request, Response};
