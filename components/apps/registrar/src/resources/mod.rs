//! The resources of the vendor's API, and the verbs on each.

pub(crate) mod audit;
pub(crate) mod edges;
pub(crate) mod events;
pub(crate) mod licenses;
pub(crate) mod openapi;
pub(crate) mod origin;
pub(crate) mod outbox;
pub(crate) mod owners;
pub(crate) mod policies;
pub(crate) mod products;
pub(crate) mod reconcile;
pub(crate) mod retention;
pub(crate) mod stats;
pub(crate) mod tokens;

pub(crate) mod metadata;
mod term;
pub(crate) mod terms;
