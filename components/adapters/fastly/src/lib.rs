//! The adapter for Fastly Compute: `store` over a KV store, `settings` from a config store, `journal` to a log endpoint.
//!
//! The names are fixed where Fastly has a name to fix: config store and log endpoint are `countersign`. The KV store is `licenses`, or
//! what the config store's item `store` says.

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
