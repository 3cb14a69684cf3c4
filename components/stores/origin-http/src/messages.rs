//! The messages between an edge and its origin, as `openapi.json` describes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::bindings::exports::countersign::license::origin::{Entry, Error, Expectation, Outcome};

#[derive(Serialize)]
pub(crate) struct Get<'a> {
    pub(crate) keys: [&'a str; 1],
}

#[derive(Deserialize)]
pub(crate) struct Got {
    pub(crate) store: Store,
    /// Without the keys that do not exist.
    pub(crate) entries: Vec<Written>,
}

/// What the origin's store promises.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Store {
    pub(crate) name: String,
    pub(crate) atomic: bool,
    pub(crate) ttl: bool,
    pub(crate) staleness_seconds: u32,
}

/// An entry as it is written in JSON.
#[derive(Deserialize)]
pub(crate) struct Written {
    pub(crate) key: String,
    /// In base64 (RFC 4648, section 4).
    value: String,
    /// In decimal digits, because a number of JSON cannot hold it exactly.
    version: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Put<'a> {
    key: &'a str,
    value: String,
    /// Without it the key must not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_seconds: Option<u32>,
}

#[derive(Deserialize)]
pub(crate) struct PutAnswer {
    pub(crate) store: Store,
    #[serde(flatten)]
    pub(crate) outcome: Applied,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Applied {
    Stored(Option<String>),
    Conflict(Option<Written>),
}

impl<'a> Put<'a> {
    /// # Errors
    ///
    /// If the write has no condition: edges write state, and another may have written it meanwhile.
    pub(crate) fn new(key: &'a str, value: &[u8], expect: Expectation, ttl: Option<u32>) -> Result<Self, Error> {
        let expected_version = match expect {
            Expectation::Any => return Err(Error::Unsupported),
            Expectation::Absent => None,
            Expectation::Matches(version) => Some(version.to_string()),
        };
        Ok(Self { key, value: STANDARD.encode(value), expected_version, ttl_seconds: ttl })
    }
}

impl TryFrom<Written> for Entry {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self, Error> {
        let value = STANDARD.decode(&written.value).map_err(|_| malformed())?;
        Ok(Self { value, version: version(&written.version)? })
    }
}

impl TryFrom<Applied> for Outcome {
    type Error = Error;

    fn try_from(answer: Applied) -> Result<Self, Error> {
        Ok(match answer {
            Applied::Stored(stored) => Self::Stored(stored.as_deref().map(version).transpose()?),
            Applied::Conflict(present) => Self::Conflict(present.map(Entry::try_from).transpose()?),
        })
    }
}

fn version(digits: &str) -> Result<u64, Error> {
    digits.parse().map_err(|_| malformed())
}

fn malformed() -> Error {
    Error::Unavailable("the origin's answer is malformed".into())
}
