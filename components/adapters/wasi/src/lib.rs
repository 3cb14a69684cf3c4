//! The adapter for `wasmtime serve`: `store` over wasmtime's draft of `wasi:keyvalue`, `settings` from the environment, `journal` to
//! standard output.
//!
//! Read-only: wasmtime keeps the bucket in memory and builds it anew for each instance, so that a write would be acknowledged and
//! lost. Values are percent-encoded there, for `-S keyvalue-in-memory-data=KEY=VALUE` ends a value at a comma and knows no escape.
//! The draft is known to this crate alone; the release it is from is named in `wit/deps/keyvalue`.

mod journal;
mod percent;
mod settings;
mod store;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Adapter;

    /// Our side of the adapter.
    pub mod adapter {
        wit_bindgen::generate!({ path: "../../../wit", world: "adapter", pub_export_macro: true });
    }

    /// The host's side.
    pub mod host {
        wit_bindgen::generate!({ path: "wit", world: "host", generate_all });
    }

    adapter::export!(Adapter with_types_in adapter);
}

struct Adapter;
