//! The registrar app: everything a vendor does. The database is the source of truth; each licence is written through to the store,
//! from which the validator reads it.
//!
//! One request, in reading order: [`service`] finds the route, its role and its handler; [`auth`] finds the caller; [`ask`] is what a
//! handler is given. A handler is one of the [`resources`]: it reads by [`sql`] and writes by [`write`], which commits its statements,
//! events and answer together and then delivers to the store. [`wire`] is HTTP in and out; [`host`] has the other imports.

mod service;

mod ask;
mod limits;

mod auth;
mod host;
mod resources;
mod sql;
mod wire;
mod write;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::App;

    wit_bindgen::generate!({ path: "../../../wit", world: "registrar-app" });
    export!(App);
}

struct App;
