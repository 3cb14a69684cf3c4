//! Commands for a vendor's other resources, one resource a file.

pub(crate) mod audit;
pub(crate) mod edge;
pub(crate) mod events;
pub(crate) mod forget;
pub(crate) mod policy;
pub(crate) mod product;
pub(crate) mod reconcile;
pub(crate) mod stats;
pub(crate) mod token;
