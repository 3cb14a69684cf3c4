//! What the store adapters for Spin share: `settings` from Spin's variables, `journal` to standard
//! output, the label of the store, and what its errors mean.
//!
//! An adapter implements `store` for its type and exports the type with [`bindings`]. The other two
//! interfaces are implemented here.

use bindings::exports::countersign::license::{journal, settings, store};
use countersign::borrow_event;
use countersign::seam::is_setting_name;
use spin::fermyon::spin::variables;
use wasi::cli::stdout::get_stdout;

/// The world `adapter`.
#[allow(unsafe_code, missing_docs, unreachable_pub)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../../wit",
        world: "adapter",
        pub_export_macro: true,
        default_bindings_module: "countersign_adapter_spin_common::bindings",
    });
}

/// Bytes that one blocking write accepts (`wasi:io/streams`).
const MAX_WRITE_BYTES: usize = 4_096;

/// Spin's side of an adapter.
#[allow(unsafe_code, missing_docs, unreachable_pub)]
pub mod spin {
    wit_bindgen::generate!({ path: "wit", world: "host", generate_all });
}

impl<Adapter: store::Guest> settings::Guest for Adapter {
    fn get(name: String) -> Result<Option<String>, settings::Error> {
        if !is_setting_name(&name) {
            return Err(settings::Error::InvalidName);
        }
        variable(&name).map_err(settings::Error::Unavailable)
    }
}

impl<Adapter: store::Guest> journal::Guest for Adapter {
    fn append(event: journal::Event) {
        let Some(mut line) = borrow_event!(event).to_line() else { return };
        line.push('\n');
        // An event is never a reason to fail a request.
        let stdout = get_stdout();
        let _ = line.as_bytes().chunks(MAX_WRITE_BYTES).try_for_each(|part| stdout.blocking_write_and_flush(part));
    }
}

/// The label of the store to open: the variable `store`, or else `default`.
///
/// # Errors
/// `unavailable` if Spin's provider of variables fails.
pub fn store_label() -> Result<String, store::Error> {
    let label = variable("store").map_err(store::Error::Unavailable)?;
    Ok(label.unwrap_or_else(|| "default".into()))
}

/// The error of a store that failed with this text of Spin's. A retry may help, except where the
/// store's file is damaged.
#[must_use]
pub fn failure(text: String) -> store::Error {
    // SQLite's messages for `SQLITE_NOTADB` and `SQLITE_CORRUPT`.
    let is_damaged = ["file is not a database", "malformed"].iter().any(|message| text.contains(message));
    if is_damaged { store::Error::Other(text) } else { store::Error::Unavailable(text) }
}

/// The value of a variable, if it is set. An empty value counts as not set, because a manifest must
/// give each variable a value. A name that Spin refuses (`a__b`) cannot have been set. An error is
/// Spin's text.
fn variable(name: &str) -> Result<Option<String>, String> {
    match variables::get(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(variables::Error::Undefined(_) | variables::Error::InvalidName(_)) => Ok(None),
        Err(variables::Error::Provider(text) | variables::Error::Other(text)) => Err(text),
    }
}
