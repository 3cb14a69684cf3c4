//! Configuration by name: from `--setting name=value`, or else from the environment's
//! `COUNTERSIGN_<NAME>`.

use std::collections::HashMap;
use std::env;

use countersign::seam::is_setting_name;

use crate::bindings::settings::Error;

/// The prefix of every environment variable that is a setting.
pub const ENVIRONMENT_PREFIX: &str = "COUNTERSIGN_";

/// The settings of one process, read once at its start. Values may be secrets: there is no `Debug`.
#[derive(Clone, Default)]
pub struct Settings(HashMap<String, String>);

impl Settings {
    /// Settings from the environment, overridden by `given`.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>, given: &[(String, String)]) -> Self {
        let environment = environment.into_iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(ENVIRONMENT_PREFIX)?.to_ascii_lowercase();
            is_setting_name(&name).then_some((name, value))
        });
        Self(environment.chain(given.iter().cloned()).collect())
    }

    /// As [`new`](Self::new), from this process's environment.
    pub fn of_process(given: &[(String, String)]) -> Self {
        let variables = env::vars_os();
        Self::new(variables.filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok())), given)
    }

    /// These settings, with this value for `name`.
    #[must_use]
    pub fn with(mut self, name: &str, value: String) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// These settings, without those of these names.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|name, _| !names.contains(&name.as_str()));
        self
    }

    /// The value of a setting, if it has one.
    ///
    /// # Errors
    /// [`Error::InvalidName`].
    pub fn get(&self, name: &str) -> Result<Option<String>, Error> {
        if is_setting_name(name) { Ok(self.0.get(name).cloned()) } else { Err(Error::InvalidName) }
    }
}

/// Reads `name=value` of the command line.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must have the form name=value")?;
    if !is_setting_name(name) {
        return Err("the name must be 1 to 64 characters from a-z, 0-9 and _, and begin with a letter".into());
    }
    Ok((name.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn the_command_line_comes_before_the_environment() {
        let environment = [pair("COUNTERSIGN_A", "env"), pair("COUNTERSIGN_B", "env"), pair("A", "other")];
        let settings = Settings::new(environment, &[pair("a", "given")]);
        assert_eq!(settings.get("a").unwrap().as_deref(), Some("given"));
        assert_eq!(settings.get("b").unwrap().as_deref(), Some("env"));
        assert_eq!(settings.get("c").unwrap(), None);
        assert!(matches!(settings.get("A"), Err(Error::InvalidName)));
    }

    #[test]
    fn a_setting_is_a_name_and_a_value() {
        assert_eq!(parse_setting("url=https://a/?b=c"), Ok(pair("url", "https://a/?b=c")));
        assert_eq!(parse_setting("empty="), Ok(pair("empty", "")));
        assert!(parse_setting("name").is_err());
        assert!(parse_setting("Na-me=x").is_err());
    }
}
