//! What every app shares, whichever requests it serves.
//!
//! In the order in which a request meets it: [`request`] reads headers and bodies, [`fields`] reads
//! a body that is a JSON object, [`answer`] builds responses and [`problem`] those that refuse.
//! [`contention`] retries a write that conflicts with another, [`clock`] has the time, and
//! [`store_error`] puts an error of the store into a word.
//!
//! The bindings of the world `app` are here too, so that all apps share one `Request` and one
//! `Response`. An app exports its `service` with [`export!`](bindings::export), and generates
//! bindings only for what its own world adds:
//!
//! ```ignore
//! mod bindings {
//!     wit_bindgen::generate!({ path: "../../../wit", world: "registrar-app" });
//!     countersign_app_common::bindings::export!(App);
//! }
//! ```

#![allow(clippy::result_large_err, reason = "a refused request moves its problem once")]

pub mod fields;
mod merge;
pub mod request;

pub mod answer;
pub mod problem;

pub mod clock;
pub mod contention;
pub mod store_error;

pub use bindings::countersign::license::{journal, settings, store};
pub use bindings::exports::countersign::license::service;

/// Bindings of the world `app`.
#[allow(unsafe_code, missing_docs, unreachable_pub)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "app",
        pub_export_macro: true,
        default_bindings_module: "countersign_app_common::bindings",
    });
}
