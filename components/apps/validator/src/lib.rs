//! The validator app. It serves licence holders, and cannot issue licences.
//!
//! `service` finds the handler for a path. Each verb has a file that reads top down: `validate`,
//! `activate`, `heartbeat`, `deactivate`, `activations`, `usage`. `flow` has the steps that they
//! share. `embed` offers the same verbs to components that embed this one, and `health` has the
//! checks for operators.
//!
//! A verb reads and writes through `store`, and appends its result to the `journal`. Its `context`
//! has the time and what is known about the request; `failure` and `unavailable` say why there is
//! no answer. `answer` has what this app adds to the responses of [`countersign_app_common`].

mod service;

mod activate;
mod activations;
mod deactivate;
mod flow;
mod heartbeat;
mod usage;
mod validate;

mod embed;
mod health;

mod journal;
mod store;

mod answer;
mod context;
mod failure;
mod unavailable;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::App;

    wit_bindgen::generate!({ path: "../../../wit", world: "validator-app" });
    export!(App);
    countersign_app_common::bindings::export!(App);
}

struct App;
