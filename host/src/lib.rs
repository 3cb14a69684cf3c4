//! The native host of Countersign, in the order in which a request meets it.
//!
//! [`server`] speaks HTTP and hands each request to [`engine`], which runs the component's `service.handle` on a warm instance.
//! That calls back into [`imports`]: the [`database`], which is the [`store`] over SQLite behind a
//! cache, its [`writer`], the [`settings`] and the [`journal`]. [`registry`] is what the
//! commands do with licences on the same store.

#![forbid(unsafe_code)]

pub mod bindings;
pub mod database;
pub mod engine;
mod files;
mod idle;
pub mod imports;
pub mod journal;
pub mod limits;
pub mod registry;
mod rows;
pub mod server;
pub mod settings;
pub mod store;
pub mod writer;
