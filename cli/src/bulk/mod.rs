//! Many licences at once.

pub(crate) mod export;
pub(crate) mod import;
