//! The store of a data directory: keys and values in one SQLite file.
//!
//! [`Store`] is one connection, as a command has it. [`Shared`] is the store as a server has it:
//! many connections behind a cache, and one writer that commits for all. [`Reader`] reads the
//! licences that a store holds.

mod cache;
mod change;
mod connections;
mod reader;
mod shared;
mod sqlite;
mod writer;

pub use reader::{Reader, ReaderError};
pub use shared::Shared;
pub use sqlite::{FILE_NAME, Store, WriteTransaction};
