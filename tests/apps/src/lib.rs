//! Runs both apps in this process, over a store in memory and a database in a temporary directory.
//!
//! A test sets the clock, the settings and the faults, and reads what the apps wrote.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(missing_docs, reason = "only the tests beside it use it")]

mod concurrent;
pub mod edge;
pub mod guest;
pub mod registrar;
pub mod validator;
pub mod world;

pub use concurrent::at_once;
pub use registrar::{Answer, BEGIN, OPERATOR, Registrar};
pub use validator::Validator;
pub use world::{Fault, World};
