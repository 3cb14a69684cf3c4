//! The resources of the vendor's API, and the verbs on each.

pub(crate) mod events;
pub(crate) mod licenses;
mod metadata;
pub(crate) mod openapi;
pub(crate) mod outbox;
pub(crate) mod policies;
pub(crate) mod products;
pub(crate) mod reconcile;
pub(crate) mod stats;
mod terms;
pub(crate) mod tokens;
