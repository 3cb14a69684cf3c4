//! The requests, each one call of `store`, except `increment`, which makes several.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::answers;
use crate::bindings::countersign::license::store::{self, Error, Expectation, Freshness, Outcome};

/// How often `increment` tries each addition.
const MAX_TRIES: u32 = 1_000;

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Call {
    Get {
        key: String,
    },
    Put {
        key: String,
        value: Option<String>,
        /// Instead of `value`: this number of bytes `x`.
        size: Option<usize>,
        #[serde(default)]
        expect: Expect,
        ttl: Option<u32>,
    },
    Delete {
        key: String,
    },
    List {
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    },
    Capabilities,
    Increment {
        key: String,
        times: u32,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Expect {
    #[default]
    Any,
    Absent,
    Matches(String),
}

pub(crate) fn run(call: Call) -> Result<Value, Error> {
    match call {
        Call::Get { key } => Ok(answers::entry(store::get(&key, Freshness::Usual)?.entry)),
        Call::Put { key, value, size, expect, ttl } => {
            let value = value.unwrap_or_else(|| "x".repeat(size.unwrap_or_default()));
            Ok(answers::outcome(store::put(&key, value.as_bytes(), expect.try_into()?, ttl)?))
        }
        Call::Delete { key } => Ok(json!(store::delete(&key)?)),
        Call::List { prefix, cursor, limit } => Ok(answers::page(store::list_keys(&prefix, cursor.as_deref(), limit)?)),
        Call::Capabilities => Ok(answers::capabilities(store::describe())),
        Call::Increment { key, times } => increment(&key, times),
    }
}

/// Increments a decimal number `times` times as an app does it: read, compute, write if unchanged,
/// and retry on a conflict.
fn increment(key: &str, times: u32) -> Result<Value, Error> {
    let (mut applied, mut conflicts) = (0, 0);
    for _ in 0..times {
        for _ in 0..MAX_TRIES {
            let (next, expect) = match store::get(key, Freshness::Usual)?.entry {
                Some(entry) => (number(&entry.value)? + 1, Expectation::Matches(entry.version)),
                None => (1, Expectation::Absent),
            };
            match store::put(key, next.to_string().as_bytes(), expect, None)? {
                Outcome::Stored(_) => {
                    applied += 1;
                    break;
                }
                Outcome::Conflict(_) => conflicts += 1,
            }
        }
    }
    Ok(json!({ "applied": applied, "conflicts": conflicts }))
}

fn number(value: &[u8]) -> Result<u64, Error> {
    let text = str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Error::Other("the value is not a decimal number".into()))
}

impl TryFrom<Expect> for Expectation {
    type Error = Error;

    fn try_from(expect: Expect) -> Result<Self, Error> {
        Ok(match expect {
            Expect::Any => Self::Any,
            Expect::Absent => Self::Absent,
            Expect::Matches(version) => Self::Matches(
                version.parse().map_err(|_| Error::Other("a version must be a decimal string of 64 bits".into()))?,
            ),
        })
    }
}
