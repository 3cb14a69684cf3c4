//! Licences by the names that people have for them.

use countersign::id::LicenseId;
use countersign::key;
use serde_json::{Value, json};

use crate::api::{Answer, Api, path};
use crate::error::CommandError;
use crate::input::given_or_stdin;

/// A licence, and where the answers about it are printed.
#[derive(Debug, clap::Args)]
pub(crate) struct LicenseArg {
    /// The licence's id or its key; `-` reads it from standard input
    #[arg(value_name = "ID-OR-KEY")]
    license: String,
}

impl LicenseArg {
    pub(crate) fn is_stdin(&self) -> bool {
        self.license == "-"
    }

    /// The licence as it is.
    pub(crate) fn read(self, api: &Api) -> Result<Answer, CommandError> {
        let given = given_or_stdin(self.license)?;
        Ok(match LicenseId::parse(&given) {
            Ok(id) => api.get(path(&["licenses", id.as_str()]))?,
            Err(_) => lookup(api, &given)?,
        })
    }

    /// Its id. A key goes into the body of a request and never into a path, which others may log.
    pub(crate) fn id(self, api: &Api) -> Result<String, CommandError> {
        let given = given_or_stdin(self.license)?;
        match LicenseId::parse(&given) {
            Ok(id) => Ok(id.to_string()),
            Err(_) => match &lookup(api, &given)?.json()?["id"] {
                Value::String(id) => Ok(id.clone()),
                _ => Err(anyhow::anyhow!("the answer has no id").into()),
            },
        }
    }
}

fn lookup(api: &Api, key: &str) -> Result<Answer, CommandError> {
    key::read(key).map_err(|error| CommandError::Input(format!("this is no licence's id, and as a key it {error}")))?;
    Ok(api.post(path(&["licenses", "lookup"]), &json!({ "key": key }))?)
}
