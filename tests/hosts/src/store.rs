//! A client of the guest `store-contract`, which makes HTTP requests into calls of `store`.

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client;

/// A store behind a host that serves the contract guest.
#[derive(Debug, Clone, Copy)]
pub struct Store {
    /// The host's address.
    pub address: SocketAddr,
}

/// An answer of the store; `Err` is an error of the interface.
pub type Answered<T> = Result<T, StoreError>;

/// An error of the interface `store`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoreError {
    /// Its case in WIT, such as `no-such-store`.
    pub kind: String,
    /// Its text, for an operator.
    #[serde(default)]
    pub detail: Option<String>,
}

/// The value and version of a key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The value, as text.
    pub value: String,
    /// The version, which is opaque.
    pub version: String,
}

/// The condition of a `put`.
#[derive(Debug, Clone, Copy)]
pub enum Expect<'a> {
    /// No condition.
    Any,
    /// The key does not exist.
    Absent,
    /// The key has this version.
    Matches(&'a str),
}

/// The outcome of a `put`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// Applied, with the new version if the host returns it.
    Stored(Option<String>),
    /// Not applied, with the current entry.
    Conflict(Option<Entry>),
}

/// A page of keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The page's keys.
    pub keys: Vec<String>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// The capabilities of an adapter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capabilities {
    /// The adapter's name.
    pub name: String,
    /// Its case in WIT, such as `best-effort`.
    pub compare_and_swap: String,
    /// Whether a time to live is honoured.
    pub ttl: bool,
    /// Whether keys can be listed.
    pub lists: bool,
    /// Whether keys are listed in order.
    pub ordered_list: bool,
    /// How long a read may miss a write, in seconds.
    pub staleness_seconds: u32,
}

/// The outcome of one client's increments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Increments {
    /// The number applied.
    pub applied: u64,
    /// The number of conflicts with other clients.
    pub conflicts: u64,
}

impl Store {
    /// Reads a key.
    pub fn get(self, key: &str) -> Result<Answered<Option<Entry>>> {
        self.call(&json!({ "op": "get", "key": key }))
    }

    /// Writes a key.
    pub fn put(self, key: &str, value: &str, expect: Expect<'_>) -> Result<Answered<Outcome>> {
        self.call(&json!({ "op": "put", "key": key, "value": value, "expect": expect.to_json() }))
    }

    /// Writes a key unconditionally, with a time to live in seconds.
    pub fn put_for(self, key: &str, value: &str, ttl: u32) -> Result<Answered<Outcome>> {
        self.call(&json!({ "op": "put", "key": key, "value": value, "expect": "any", "ttl": ttl }))
    }

    /// Writes `size` bytes to a key unconditionally.
    pub fn put_sized(self, key: &str, size: usize) -> Result<Answered<Outcome>> {
        self.call(&json!({ "op": "put", "key": key, "size": size, "expect": "any" }))
    }

    /// Deletes a key.
    pub fn delete(self, key: &str) -> Result<Answered<Value>> {
        self.call(&json!({ "op": "delete", "key": key }))
    }

    /// Lists one page of keys.
    pub fn list(self, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Answered<Page>> {
        let mut call = json!({ "op": "list", "prefix": prefix, "limit": limit });
        if let Some(cursor) = cursor {
            call["cursor"] = json!(cursor);
        }
        self.call(&call)
    }

    /// The capabilities that the adapter reports.
    pub fn capabilities(self) -> Result<Answered<Capabilities>> {
        self.call(&json!({ "op": "capabilities" }))
    }

    /// Increments the decimal number under `key` `times` times, each by a read and a conditional
    /// write.
    pub fn increment(self, key: &str, times: u32) -> Result<Answered<Increments>> {
        self.call(&json!({ "op": "increment", "key": key, "times": times }))
    }

    fn call<T: serde::de::DeserializeOwned>(self, call: &Value) -> Result<Answered<T>> {
        // A path of the registrar's for the keys that a host may grant to that app only.
        let is_license = call["key"].as_str().is_some_and(|key| key.starts_with("license:"));
        let path = if is_license { "/api/v1/licenses/store" } else { "/store" };
        let answer = client::send(self.address, "POST", path, &[], call.to_string().as_bytes())?;
        ensure!(answer.status == 200, "status {} to {call}: {}", answer.status, answer.text());
        let Value::Object(mut answer) = answer.json()? else { bail!("the answer to {call} must be an object") };
        match (answer.remove("ok"), answer.remove("error")) {
            (Some(ok), None) => {
                Ok(Ok(serde_json::from_value(ok.clone())
                    .with_context(|| format!("{ok} is not a valid answer to {call}"))?))
            }
            (None, Some(error)) => Ok(Err(serde_json::from_value(error)?)),
            _ => Err(anyhow!("the answer to {call} has neither `ok` nor `error`")),
        }
    }
}

impl Expect<'_> {
    fn to_json(self) -> Value {
        match self {
            Self::Any => json!("any"),
            Self::Absent => json!("absent"),
            Self::Matches(version) => json!({ "matches": version }),
        }
    }
}
