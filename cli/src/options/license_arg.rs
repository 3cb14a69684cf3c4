//! The argument that names a licence.

use anyhow::anyhow;
use countersign::id::LicenseId;
use countersign::key;
use serde_json::{Value, json};

use crate::api::{Answer, Api, path};
use crate::error::CommandError;
use crate::input::given_or_stdin;

/// A licence by its id or its key.
#[derive(Debug, clap::Args)]
pub(crate) struct LicenseArg {
    /// The licence's id (`lic_…`) or key; `-` reads it from standard input
    #[arg(value_name = "ID-OR-KEY")]
    license: String,
}

impl From<String> for LicenseArg {
    fn from(license: String) -> Self {
        Self { license }
    }
}

impl LicenseArg {
    pub(crate) fn is_stdin(&self) -> bool {
        self.license == "-"
    }

    /// The API's answer with the licence.
    pub(crate) fn read(self, api: &Api) -> Result<Answer, CommandError> {
        let given = given_or_stdin(self.license)?;
        Ok(match LicenseId::parse(given.trim()) {
            Ok(id) => api.get(path(&["licenses", id.as_str()]))?,
            Err(_) => lookup(api, &given)?,
        })
    }

    /// The licence's id. A key is sent in a body, never in a path, which servers and proxies log.
    pub(crate) fn id(self, api: &Api) -> Result<String, CommandError> {
        let given = given_or_stdin(self.license)?;
        match LicenseId::parse(given.trim()) {
            Ok(id) => Ok(id.to_string()),
            Err(_) => match &lookup(api, &given)?.json()?["id"] {
                Value::String(id) => Ok(id.clone()),
                _ => Err(anyhow!("the server returned a licence without an id").into()),
            },
        }
    }
}

fn lookup(api: &Api, key: &str) -> Result<Answer, CommandError> {
    key::read(key).map_err(|error| {
        CommandError::Input(format!("not a licence id such as lic_…, and not a key: as a key it {error}"))
    })?;
    Ok(api.post(path(&["licenses", "lookup"]), &json!({ "key": key }))?)
}
