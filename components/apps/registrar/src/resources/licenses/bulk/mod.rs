//! Many licences at once, as lines of NDJSON or CSV.

pub(crate) mod export;
pub(crate) mod import;
mod table;
