//! Commands on everything else that a vendor keeps, one noun a file.

pub(crate) mod audit;
pub(crate) mod events;
pub(crate) mod policy;
pub(crate) mod product;
pub(crate) mod reconcile;
pub(crate) mod stats;
pub(crate) mod token;
