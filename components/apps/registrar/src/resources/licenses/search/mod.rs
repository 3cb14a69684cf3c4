//! Which licences a list has, and the statements that find them.

pub(crate) mod filter;
pub(crate) mod queries;
pub(crate) mod terms;
