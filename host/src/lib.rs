//! The native host of Countersign, in the order in which a request meets it.
//!
//! 1. [`http`] speaks HTTP and hands each request to one of two apps, by its path.
//! 2. [`engine`] runs the app's component, its `service.handle`, on a warm instance.
//! 3. [`imports`] is what the component can reach: the store, settings, the journal, and for the
//!    registrar its SQL database.
//!
//! Beside them, [`registrar`] is the vendors' app in this process, for a server and for the command
//! line; [`components`] finds the components' files; [`limits`] has every bound.
//!
//! A program that works on a data directory itself needs [`registrar::Local`] alone:
//!
//! ```no_run
//! use countersign_host::registrar::Local;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registrar = Local::create("data".as_ref(), None, None)?;
//! let answer = registrar.call("POST", "/api/v1/products", &[], br#"{"code":"acme"}"#.to_vec())?;
//! assert_eq!(answer.status, 201);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod bindings;
pub mod components;
pub mod engine;
pub mod http;
pub mod imports;
pub mod limits;
mod pool;
pub mod registrar;
