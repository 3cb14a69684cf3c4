//! The client of the guest `store-contract`, which turns HTTP into calls of the interface `store`.

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client;

/// A store behind a host that serves the contract guest.
#[derive(Debug, Clone, Copy)]
pub struct Store {
    /// Where that host listens.
    pub address: SocketAddr,
}

/// An answer of the store: `Err` is an error of the interface, `kind` its case.
pub type Answered<T> = Result<T, StoreError>;

/// An error of the interface `store`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoreError {
    /// As in WIT: `no-such-store`.
    pub kind: String,
    /// For an operator.
    #[serde(default)]
    pub detail: Option<String>,
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// As text.
    pub value: String,
    /// Opaque.
    pub version: String,
}

/// The condition on which a `put` is applied.
#[derive(Debug, Clone, Copy)]
pub enum Expect<'a> {
    /// None.
    Any,
    /// The key does not exist.
    Absent,
    /// The key is in that state.
    Matches(&'a str),
}

/// What became of a `put`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// Applied, with the new version where the host tells it.
    Stored(Option<String>),
    /// Not applied, and what is there instead.
    Conflict(Option<Entry>),
}

/// Some keys, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The keys.
    pub keys: Vec<String>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// What an adapter says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capabilities {
    /// The adapter's name.
    pub name: String,
    /// As in WIT: `single-process`.
    pub compare_and_swap: String,
    /// Whether a lifetime is honoured.
    pub ttl: bool,
    /// Whether keys can be listed.
    pub lists: bool,
    /// Whether they come in order.
    pub ordered_list: bool,
    /// For how long a write may stay unseen.
    pub staleness_seconds: u32,
}

/// What came of a run of increments by one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Increments {
    /// How many were applied.
    pub applied: u64,
    /// How often another client was faster.
    pub conflicts: u64,
}

impl Store {
    /// One read.
    pub fn get(self, key: &str) -> Result<Answered<Option<Entry>>> {
        self.call(&json!({ "op": "get", "key": key }))
    }

    /// One write.
    pub fn put(self, key: &str, value: &str, expect: Expect<'_>) -> Result<Answered<Outcome>> {
        self.call(&json!({ "op": "put", "key": key, "value": value, "expect": expect.to_json() }))
    }

    /// One unconditional write with a lifetime in seconds.
    pub fn put_for(self, key: &str, value: &str, ttl: u32) -> Result<Answered<Outcome>> {
        self.call(&json!({ "op": "put", "key": key, "value": value, "expect": "any", "ttl": ttl }))
    }

    /// One unconditional write of `size` bytes.
    pub fn put_sized(self, key: &str, size: usize) -> Result<Answered<Outcome>> {
        self.call(&json!({ "op": "put", "key": key, "size": size, "expect": "any" }))
    }

    /// One deletion.
    pub fn delete(self, key: &str) -> Result<Answered<Value>> {
        self.call(&json!({ "op": "delete", "key": key }))
    }

    /// One page of keys.
    pub fn list(self, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Answered<Page>> {
        let mut call = json!({ "op": "list", "prefix": prefix, "limit": limit });
        if let Some(cursor) = cursor {
            call["cursor"] = json!(cursor);
        }
        self.call(&call)
    }

    /// What the adapter says of itself.
    pub fn capabilities(self) -> Result<Answered<Capabilities>> {
        self.call(&json!({ "op": "capabilities" }))
    }

    /// Adds one to the decimal number under `key`, `times` times, each by a read and a conditional write.
    pub fn increment(self, key: &str, times: u32) -> Result<Answered<Increments>> {
        self.call(&json!({ "op": "increment", "key": key, "times": times }))
    }

    fn call<T: serde::de::DeserializeOwned>(self, call: &Value) -> Result<Answered<T>> {
        // Where a host gives each app its own part of the store, what is below this path is the registrar's.
        let is_license = call["key"].as_str().is_some_and(|key| key.starts_with("license:"));
        let path = if is_license { "/api/v1/licenses/store" } else { "/store" };
        let answer = client::send(self.address, "POST", path, &[], call.to_string().as_bytes())?;
        ensure!(answer.status == 200, "status {} to {call}: {}", answer.status, answer.text());
        let Value::Object(mut answer) = answer.json()? else { bail!("no object answers {call}") };
        match (answer.remove("ok"), answer.remove("error")) {
            (Some(ok), None) => {
                Ok(Ok(serde_json::from_value(ok.clone()).with_context(|| format!("{ok} answers {call}"))?))
            }
            (None, Some(error)) => Ok(Err(serde_json::from_value(error)?)),
            _ => Err(anyhow!("neither ok nor error answers {call}")),
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
