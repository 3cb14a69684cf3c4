//! The adapter for Fastly Compute: `store` over a KV store, `settings` from a config store,
//! `journal` to a log endpoint.
//!
//! The config store and the log endpoint have the name `countersign`. The KV store has the name
//! `licenses`, unless the item `store` of the config store has another.

mod journal;
mod settings;
mod store;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Adapter;

    wit_bindgen::generate!({ path: "../../../wit", world: "adapter" });
    export!(Adapter);
}

struct Adapter;
