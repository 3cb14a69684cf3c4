//! The registrar app: everything a vendor does. The database is the source of truth; each licence
//! is written through to the store, from which the validator reads it.
//!
//! One request, in reading order: `service` finds the route with its role and its handler, `auth`
//! finds the caller, and `ask` is what the handler is given. A handler belongs to one of the
//! `resources`: it reads by `sql`, and writes by `write`, which commits statements, events and
//! answer together and then delivers to the store. `wire` is HTTP in and out, `host` has the other
//! imports, and `limits` has every bound.

mod service;

mod ask;
mod auth;
mod resources;

mod sql;
mod write;

mod host;
mod wire;

mod limits;

#[cfg(fuzzing)]
#[allow(missing_docs, unreachable_pub)]
pub mod fuzzing;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::App;

    wit_bindgen::generate!({ path: "../../../wit", world: "registrar-app" });
    countersign_app_common::bindings::export!(App);
}

struct App;
