//! `settings` from the config store `countersign`.

use crate::Adapter;
use crate::bindings::exports::countersign::license::settings::{Error, Guest};
use countersign::seam::is_setting_name;
use fastly_sys::service_0_1::fastly::compute::config_store::Store;
use fastly_sys::service_0_1::fastly::compute::types::OpenError;

/// Fastly allows 8,000 characters in an item, of up to four bytes each.
const MAX_ITEM_BYTES: u64 = 32_000;

impl Guest for Adapter {
    fn get(name: String) -> Result<Option<String>, Error> {
        if !is_setting_name(&name) {
            return Err(Error::InvalidName);
        }
        item(&name).map_err(Error::Unavailable)
    }
}

/// Returns an item, or `None` if it or the whole config store does not exist. An error is a text
/// for operators.
pub(crate) fn item(name: &str) -> Result<Option<String>, String> {
    match Store::open("countersign") {
        Ok(store) => store.get(name, MAX_ITEM_BYTES).map_err(|error| format!("config store: {error}")),
        Err(OpenError::NotFound) => Ok(None),
        Err(error) => Err(format!("config store: {}", error.message())),
    }
}
