//! The apps' components in this process, over a store in memory and a database in a temporary directory. The test sets the clock,
//! the faults and the settings.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(missing_docs, reason = "only the tests beside it use it")]

pub mod registrar;
pub mod validator;

pub use registrar::{Answer, BEGIN, OPERATOR, Registrar};
