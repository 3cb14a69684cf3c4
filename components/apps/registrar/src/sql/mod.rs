//! The database: reads, the values of statements, and the tables.

pub(crate) mod db;
pub(crate) mod schema;
