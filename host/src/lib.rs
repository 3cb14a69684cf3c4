//! The native host of Countersign, in the order in which a request meets it.
//!
//! [`server`] speaks HTTP and hands each request to one of two apps: the validator, or the [`registrar`]. For either the [`engine`] runs
//! the component's `service.handle` on a warm instance. That calls back into [`imports`]: the [`database`], which is the [`store`] over
//! SQLite behind a cache, its [`writer`], the [`settings`], the [`journal`], and for the registrar [`sql`]. [`counts`] are what the
//! registrar is told of validations, [`components`] says where the components are, and [`registry`] is what the commands do with
//! licences on the same store.

#![forbid(unsafe_code)]

pub mod bindings;
pub mod components;
pub mod counts;
pub mod database;
pub mod engine;
mod files;
mod idle;
pub mod imports;
pub mod journal;
pub mod limits;
pub mod registrar;
pub mod registry;
mod rows;
pub mod server;
pub mod settings;
pub mod sql;
pub mod store;
pub mod writer;
