//! A vendor's tour of the registrar, from `scenarios/registrar.toml`: requests in order, each of
//! which may use values from earlier answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{self, Answer};

const STEPS: &str = include_str!("../scenarios/registrar.toml");

/// One request with its expected answer. `scenarios/registrar.toml` describes the fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The claim of the step.
    pub name: String,
    send: String,
    #[serde(default = "once")]
    times: u32,
    #[serde(default = "administrator")]
    token: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    status: u16,
    answer: Option<String>,
    #[serde(default)]
    keep: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    step: Vec<Step>,
}

/// The values that a step may name, by name.
pub type Kept = BTreeMap<String, String>;

/// The steps, in order.
pub fn steps() -> Result<Vec<Step>> {
    Ok(toml::from_str::<File>(STEPS).context("scenarios/registrar.toml")?.step)
}

fn once() -> u32 {
    1
}

fn administrator() -> String {
    "${admin}".into()
}

impl Step {
    /// Sends the request, checks the answer, and stores the values that the step keeps of it.
    ///
    /// `judge` checks the answer too. It gets the method, the path and the body of the request.
    pub fn walk(
        &self,
        host: SocketAddr,
        kept: &mut Kept,
        judge: impl Fn(&str, &str, &str, &Answer) -> Result<()>,
    ) -> Result<()> {
        let fill = |text: &str| {
            kept.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
        };
        let send = fill(&self.send);
        let (method, target) = send.split_once(' ').context("`send` must be a method and a path")?;
        let token = fill(&self.token);
        let mut headers =
            vec![("authorization", format!("Bearer {token}")), ("content-type", "application/json".into())];
        headers
            .retain(|(name, _)| !self.headers.contains_key(*name) && (*name != "authorization" || !token.is_empty()));
        headers.extend(self.headers.iter().map(|(name, value)| (name.as_str(), fill(value))));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = fill(&self.body);
        let send_once = || client::send(host, method, target, &headers, body.as_bytes());
        for _ in 1..self.times {
            send_once()?;
        }
        let answer = send_once()?;

        ensure!(answer.status == self.status, "status {} to {send}: {}", answer.status, answer.text());
        judge(method, target, &body, &answer)?;
        if let Some(due) = &self.answer {
            let due: Value = serde_json::from_str(&fill(due)).context("the expected answer is not JSON")?;
            ensure!(has(&answer.json()?, &due), "{} does not have\n{due}", answer.text());
        }
        for (name, place) in &self.keep {
            let found = found(&answer, place)?.with_context(|| format!("no {place} in {}", answer.text()))?;
            kept.insert(name.clone(), found);
        }
        Ok(())
    }
}

fn found(answer: &Answer, place: &str) -> Result<Option<String>> {
    Ok(match place.strip_prefix('@') {
        Some(header) => answer.headers.get(header).cloned(),
        None => answer.json()?.pointer(place).and_then(Value::as_str).map(str::to_owned),
    })
}

/// Whether `found` has at least what is due: every member of an object, and every element of an
/// array at its index.
fn has(found: &Value, due: &Value) -> bool {
    match (found, due) {
        (Value::Object(found), Value::Object(due)) => {
            due.iter().all(|(name, due)| found.get(name).is_some_and(|found| has(found, due)))
        }
        (Value::Array(found), Value::Array(due)) => {
            found.len() == due.len() && found.iter().zip(due).all(|(found, due)| has(found, due))
        }
        (found, due) => found == due,
    }
}
