//! `settings` over the environment: `server_timing` is `COUNTERSIGN_SERVER_TIMING`.

use crate::Adapter;
use crate::bindings::adapter::exports::countersign::license::settings::{Error, Guest};
use countersign::seam::is_setting_name;
use wasi::cli::environment::get_environment;

impl Guest for Adapter {
    fn get(name: String) -> Result<Option<String>, Error> {
        if !is_setting_name(&name) {
            return Err(Error::InvalidName);
        }
        Ok(variable(&name))
    }
}

/// The value of `COUNTERSIGN_` and the name in upper case.
pub(crate) fn variable(name: &str) -> Option<String> {
    let variable = format!("COUNTERSIGN_{}", name.to_ascii_uppercase());
    get_environment().into_iter().find_map(|(name, value)| (name == variable).then_some(value))
}
