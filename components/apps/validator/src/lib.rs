//! The validator app: everything a licence holder asks, and no power to issue.
//!
//! One request, in reading order: `service` finds the verb for a path, `verb` is what all verbs share, and each has a file of its own:
//! `validate`, `activate`, `heartbeat`, `deactivate`, `activations`, `usage`. `records` reads and writes the two records of a licence, and
//! `journal` notes what came of it. `embed` has the same verbs for components that embed this one. `health` has those of operators;
//! `answer` and `problem` are what a response is made of, and `clock` tells the time.

mod service;

mod activate;
mod activations;
mod deactivate;
mod heartbeat;
mod usage;
mod validate;
mod verb;

mod embed;
mod health;

mod records;

mod answer;
mod clock;
mod journal;
mod problem;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::App;

    wit_bindgen::generate!({ path: "../../../wit", world: "validator-app" });
    export!(App);
    countersign_app_common::bindings::export!(App);
}

struct App;
