//! The registrar app: everything a vendor does. It keeps the truth in the database and writes licences through to the store, from which
//! the validator reads them.
//!
//! One request, in reading order: `service` finds the verb for a path and what role it takes, `caller` says who asks, and `ask` is what
//! each verb is given: the request's `fields`, its `query`, and what it expects of the `etag`. `products`, `policies`, `tokens` and `events`
//! have a file each; a `license`, whose `terms` are its policy's or its own, has its verbs in `licenses`. `stats` counts, `reconcile`
//! compares, and `adopt` takes in what it finds.
//!
//! A verb reads by `db` and writes by `change`, which joins to its statements the events of the audit, the rows of the `outbox`, and the
//! answer that a retry is to get (`idempotency`). `records` is what the store has, and `schema` makes the tables. `answer`, `page` and
//! `problem` are what a response is made of; `clock`, `random` and `journal` are the host's.

mod service;

mod limits;

mod ask;
mod caller;
mod etag;
mod fields;
mod merge;
mod metadata;
mod query;

mod adopt;
mod events;
mod license;
mod licenses;
mod openapi;
mod policies;
mod products;
mod reconcile;
mod stats;
mod terms;
mod tokens;

mod change;
mod db;
mod idempotency;
mod outbox;
mod records;
mod schema;

mod answer;
mod clock;
mod journal;
mod page;
mod problem;
mod random;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::App;

    wit_bindgen::generate!({ path: "../../../wit", world: "registrar-app" });
    export!(App);
}

struct App;
