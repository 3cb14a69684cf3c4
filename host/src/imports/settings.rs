//! Configuration by name: from `--setting name=value` or `--setting-file name=file`, or else from
//! the environment's `COUNTERSIGN_<NAME>`.

use std::collections::HashMap;
use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use countersign::seam::is_setting_name;
use countersign::secret::{self, Weakness};

use crate::bindings::settings::Error;
use crate::limits::MAX_SETTING_FILE_BYTES;

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

    /// The settings that are set, should be secrets, and are not taken for one, each with the
    /// reason.
    pub fn weak_secrets(&self) -> impl Iterator<Item = (&'static str, Weakness)> {
        secret::ACCEPTED.into_iter().filter_map(|name| {
            let value = self.0.get(name).filter(|value| !value.is_empty())?;
            Some((name, secret::check(value).err()?))
        })
    }

    /// The value of a setting, if it has one.
    ///
    /// # Errors
    /// [`Error::InvalidName`].
    pub fn get(&self, name: &str) -> Result<Option<String>, Error> {
        if is_setting_name(name) { Ok(self.0.get(name).cloned()) } else { Err(Error::InvalidName) }
    }
}

/// Reads `name=value` of the command line, which other users of the machine can read: a secret is
/// refused.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = parse_pair(text)?;
    if secret::is_secret(&name) {
        return Err(format!(
            "`{name}` is a secret, which other users could read here; set ${ENVIRONMENT_PREFIX}{}, or give \
             `--setting-file {name}=FILE`",
            name.to_ascii_uppercase()
        ));
    }
    Ok((name, value))
}

/// Reads `name=file` of the command line.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn parse_setting_file(text: &str) -> Result<(String, PathBuf), String> {
    parse_pair(text).map(|(name, file)| (name, file.into()))
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must have the form name=value")?;
    if !is_setting_name(name) {
        return Err("the name must be 1 to 64 characters from a-z, 0-9 and _, and begin with a letter".into());
    }
    Ok((name.into(), value.into()))
}

/// Reads a setting's value from a file: one line.
///
/// # Errors
/// If the file cannot be read, is not UTF-8, or has more than [`MAX_SETTING_FILE_BYTES`].
pub fn read_setting(file: &Path) -> io::Result<String> {
    let mut value = String::new();
    File::open(file)?.take(MAX_SETTING_FILE_BYTES + 1).read_to_string(&mut value)?;
    if value.len() as u64 > MAX_SETTING_FILE_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_SETTING_FILE_BYTES} bytes")));
    }
    // Editors and `echo` end a file with a line break.
    value.truncate(value.trim_end_matches(['\r', '\n']).len());
    Ok(value)
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
        assert_eq!(parse_setting_file("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(parse_setting_file("name").is_err());
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
        for name in secret::SETTINGS {
            let refused = parse_setting(&format!("{name}=0123456789abcdef")).unwrap_err();
            assert!(refused.contains(&format!("$COUNTERSIGN_{}", name.to_ascii_uppercase())), "{refused}");
            assert!(!refused.contains("0123456789abcdef"), "{refused}");
            assert!(parse_setting_file(&format!("{name}=file")).is_ok());
        }
    }

    #[test]
    fn a_setting_is_read_from_one_line_of_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, value) in [("a b", "a b"), ("a\n", "a"), ("a\r\n", "a"), ("a\nb\n", "a\nb"), ("", "")] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(read_setting(file.path()).unwrap(), value);
        }
        std::fs::write(file.path(), "x".repeat(65_537)).unwrap();
        assert!(read_setting(file.path()).is_err());
    }

    #[test]
    fn a_weak_secret_is_named() {
        let settings = Settings::default()
            .with("admin_token", "short".into())
            .with("host_token", "0123456789abcdef0123456789abcdef".into())
            .with("server_timing", "true".into())
            .with("token", String::new());
        assert_eq!(settings.weak_secrets().collect::<Vec<_>>(), [("admin_token", Weakness::Short)]);
    }
}
