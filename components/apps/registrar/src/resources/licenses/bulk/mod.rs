//! Many licences at once, as lines of NDJSON or CSV.

mod columns;
pub(crate) mod export;
pub(crate) mod import;
mod table;

const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";
