//! The messages between an edge and its origin, as `openapi.json` describes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};

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

/// Has one of `stored` and `conflict`, of which each may be null.
#[derive(Deserialize)]
pub(crate) struct PutAnswer {
    pub(crate) store: Store,
    #[serde(default, deserialize_with = "given")]
    stored: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    conflict: Option<Option<Written>>,
}

/// A field that is there, if only as null. A flattened enum would say the same and take 11 KB more.
fn given<'a, Value: Deserialize<'a>, From: Deserializer<'a>>(from: From) -> Result<Option<Value>, From::Error> {
    Value::deserialize(from).map(Some)
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

impl PutAnswer {
    /// # Errors
    ///
    /// If the origin did not say the outcome.
    pub(crate) fn outcome(self) -> Result<Outcome, Error> {
        match (self.stored, self.conflict) {
            (Some(stored), None) => Ok(Outcome::Stored(stored.as_deref().map(version).transpose()?)),
            (None, Some(present)) => Ok(Outcome::Conflict(present.map(Entry::try_from).transpose()?)),
            _ => Err(malformed()),
        }
    }
}

fn version(digits: &str) -> Result<u64, Error> {
    digits.parse().map_err(|_| malformed())
}

fn malformed() -> Error {
    Error::Unavailable("the origin's answer is malformed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(fields: &str) -> Result<Outcome, ()> {
        let store = r#""store":{"name":"x","atomic":true,"ttl":true,"stalenessSeconds":0}"#;
        let answer: PutAnswer = serde_json::from_str(&format!("{{{store}{fields}}}")).map_err(drop)?;
        answer.outcome().map_err(drop)
    }

    #[test]
    fn an_answer_says_the_outcome_of_the_write() {
        assert!(matches!(outcome(r#","stored":"7""#), Ok(Outcome::Stored(Some(7)))));
        assert!(matches!(outcome(r#","stored":null"#), Ok(Outcome::Stored(None))));
        assert!(matches!(outcome(r#","conflict":null"#), Ok(Outcome::Conflict(None))));
        let present = outcome(r#","conflict":{"key":"state:a","value":"YQ==","version":"18446744073709551615"}"#);
        let Ok(Outcome::Conflict(Some(Entry { value, version }))) = present else { panic!("{present:?}") };
        assert_eq!((value.as_slice(), version), (b"a".as_slice(), u64::MAX));
    }

    #[test]
    fn an_answer_that_does_not_say_it_is_an_error() {
        for fields in
            ["", r#","stored":"7","conflict":null"#, r#","stored":7"#, r#","stored":"-1""#, r#","conflict":{}"#]
        {
            assert!(outcome(fields).is_err(), "{fields}");
        }
    }
}
