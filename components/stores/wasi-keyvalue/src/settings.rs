//! `settings` over the environment: `server_timing` is `COUNTERSIGN_SERVER_TIMING`.

use std::env;

use crate::Adapter;
use crate::bindings::adapter::exports::countersign::license::settings::{Error, Guest};
use countersign::seam::is_setting_name;

impl Guest for Adapter {
    fn get(name: String) -> Result<Option<String>, Error> {
        if !is_setting_name(&name) {
            return Err(Error::InvalidName);
        }
        Ok(env::var(format!("COUNTERSIGN_{}", name.to_ascii_uppercase())).ok())
    }
}
