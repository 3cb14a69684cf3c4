//! The imports that are neither the database nor shared by all apps.

pub(crate) mod journal;
pub(crate) mod random;
pub(crate) mod settings;
pub(crate) mod store;
