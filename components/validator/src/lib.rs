//! The validator app: everything a licence holder asks, and no power to issue.
//!
//! One validation, in reading order: `service` finds the verb for a path, `validate` makes the one read of the store and lets the
//! core decide, `journal` notes what came of it. `embed` is the same verb for components that embed this one. `health` has
//! the verbs of operators; `answer` and `problem` are what a response is made of.

mod service;

mod embed;
mod health;
mod validate;

mod answer;
mod journal;
mod problem;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::App;

    wit_bindgen::generate!({ path: "../../wit", world: "validator-app" });
    export!(App);
}

struct App;
