//! The adapter for `wasmtime serve`: `store` over wasmtime's draft of `wasi:keyvalue`, `settings`
//! from the environment, `journal` to standard output.
//!
//! The store is read-only: wasmtime builds the bucket in memory for each instance, so a write would
//! be acknowledged and then lost. Values are percent-encoded, because `-S
//! keyvalue-in-memory-data=KEY=VALUE` ends a value at a comma and has no escape. Only this crate
//! uses the draft; `wit/deps/keyvalue` names its release.

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
