//! Profiles: servers by name, each with its token, in a file of the user.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use crate::error::CommandError;
use crate::limits::MAX_PROFILES_BYTES;

/// A server and its token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    pub(crate) server: String,
    pub(crate) token: String,
}

impl Profile {
    /// The profile of this name: a table in `profiles.toml`.
    pub(crate) fn read(name: &str) -> Result<Self, CommandError> {
        let path = path()?;
        let text = read_private(&path)?;
        // The errors of the TOML parser quote the file, and so perhaps a token.
        let profiles: Result<BTreeMap<String, Self>, _> = toml::from_str(&text);
        let mut profiles = profiles.map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let shape = "each profile must be a table with `server` and `token`, two strings";
            CommandError::Input(format!("{}, line {line} is not valid; {shape}", path.display()))
        })?;
        profiles.remove(name).ok_or_else(|| {
            let names = profiles.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            CommandError::Input(format!("{} has no profile `{name}`, only: {names}", path.display()))
        })
    }
}

fn path() -> anyhow::Result<PathBuf> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let configuration = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let configuration = configuration.or_else(home).context("$HOME is not set, so there are no profiles")?;
    Ok(configuration.join("countersign/profiles.toml"))
}

/// Reads a file with secrets, unless other users can read it too.
fn read_private(path: &Path) -> Result<String, CommandError> {
    let cannot_read = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot_read)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        return Err(CommandError::Input(format!(
            "{0} contains tokens and other users can read it; run `chmod 600 {0}`",
            path.display()
        )));
    }
    let mut text = String::new();
    file.take(MAX_PROFILES_BYTES).read_to_string(&mut text).with_context(cannot_read)?;
    Ok(text)
}
