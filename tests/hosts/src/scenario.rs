//! A scenario: one request and the answer that every host must give, from `scenarios/*.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use countersign::routes::canonical;
use countersign::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::{self, Answer};
use crate::hosts::Host;

/// A request with its expected answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// The claim, which is the trial's name.
    pub name: String,
    /// The request's method.
    #[serde(default = "post")]
    pub method: String,
    /// The request's path, with a query if any.
    #[serde(default = "validate")]
    pub path: String,
    /// The request's headers, beside the client's own.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The request's body. Placeholders name parts of the fixtures.
    #[serde(default)]
    pub body: String,
    /// Bytes after `body` that are not text.
    #[serde(default)]
    pub body_bytes: Vec<u8>,
    /// Pads the body at its start, up to this length in bytes, with spaces, which JSON allows.
    #[serde(default)]
    pub body_length: usize,
    /// How the request goes over the wire.
    #[serde(default)]
    pub wire: Wire,
    /// The answer's status code.
    pub status: u16,
    /// The answer's headers, beside those of every answer.
    #[serde(default)]
    pub answer_headers: BTreeMap<String, String>,
    /// The answer's JSON without `detail`, whose wording may change. `<moment>` matches any RFC
    /// 3339 time. The warning `LIMIT_IS_SOFT` is expected only if the store's compare-and-swap is
    /// not atomic.
    pub answer: Option<String>,
    /// Instead of `answer`: the members of an RFC 9457 problem, such as `code` and `field`.
    pub problem: Option<Map<String, Value>>,
    /// The code of the journal line that the request writes, if it writes one.
    pub journal: Option<String>,
    /// How it depends on the state of a licence, which a read-only store cannot hold.
    pub state: Option<Use>,
    /// An earlier scenario: the request waits until the lease in its answer has ended.
    pub after_lease_of: Option<String>,
    /// Hosts that the scenario is not run on, each with the reason.
    #[serde(default)]
    pub except: BTreeMap<String, String>,
}

/// How a request depends on the state of a licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// It writes the state in any case. With a read-only store the answer is a 503.
    Written,
    /// It reads what an earlier scenario wrote. With a read-only store it is not run.
    Read,
}

/// How a request goes over the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// By an ordinary client.
    #[default]
    Ordinary,
    /// The head announces the body, and no byte of it follows.
    Announced,
    /// In chunks, so its length is not announced.
    Chunked,
    /// The client stops ten bytes before the announced end.
    Truncated,
    /// The client stops before the last chunk.
    ChunkedTruncated,
    /// Twice in one write on one connection. Both answers must be the same.
    Pipelined,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scenario: Vec<Scenario>,
}

const FILES: [(&str, &str); 9] = [
    ("keys", include_str!("../scenarios/keys.toml")),
    ("codes", include_str!("../scenarios/codes.toml")),
    ("domains", include_str!("../scenarios/domains.toml")),
    ("requests", include_str!("../scenarios/requests.toml")),
    ("http", include_str!("../scenarios/http.toml")),
    ("records", include_str!("../scenarios/records.toml")),
    ("verbs", include_str!("../scenarios/verbs.toml")),
    ("seats", include_str!("../scenarios/seats.toml")),
    ("usage", include_str!("../scenarios/usage.toml")),
];

/// The scenarios of a host whose store cannot answer.
const FAULTS: (&str, &str) = ("faults", include_str!("../scenarios/faults.toml"));

/// The scenarios of every host, with their placeholders filled in.
pub fn all(placeholders: &BTreeMap<String, String>) -> Result<Vec<Scenario>> {
    let files: Result<Vec<_>> = FILES.into_iter().map(|file| read(file, placeholders)).collect();
    Ok(files?.concat())
}

/// The scenarios of a host whose store answers every call with `error`.
pub fn faults(placeholders: &BTreeMap<String, String>, error: &str) -> Result<Vec<Scenario>> {
    let mut placeholders = placeholders.clone();
    placeholders.insert("${store-error}".into(), error.into());
    read(FAULTS, &placeholders)
}

fn read((name, text): (&str, &str), placeholders: &BTreeMap<String, String>) -> Result<Vec<Scenario>> {
    let mut text = text.to_owned();
    for (placeholder, value) in placeholders {
        text = text.replace(placeholder, value);
    }
    ensure!(!text.contains("${"), "scenarios/{name}.toml names a licence that is not in licenses.toml");
    let file: File = toml::from_str(&text).with_context(|| format!("scenarios/{name}.toml"))?;
    Ok(file.scenario)
}

fn post() -> String {
    "POST".into()
}

fn validate() -> String {
    "/api/v1/validate".into()
}

impl Scenario {
    /// The scenario for one host, with the answer that its kind of store gives.
    #[must_use]
    pub fn on(&self, host: Host) -> Self {
        let mut own = self.clone();
        let compare_and_swap = host.capabilities().compare_and_swap;
        match self.state.filter(|_| compare_and_swap == "read-only") {
            Some(Use::Written) => {
                (own.status, own.answer) = (503, None);
                own.problem = Some(Map::from_iter([
                    ("code".into(), "UNAVAILABLE".into()),
                    ("reason".into(), "unsupported".into()),
                ]));
                own.answer_headers.insert("retry-after".into(), "1".into());
                own.journal = Some("UNAVAILABLE".into());
            }
            Some(Use::Read) => {
                own.except.insert(host.name().into(), "its store is read-only".into());
            }
            None => {}
        }
        if own.except.contains_key(host.name()) {
            own.journal = None;
        }
        if compare_and_swap == "atomic" {
            own.answer = own.answer.map(|answer| without_soft_limit(&answer));
        }
        own
    }

    /// Sends the request.
    pub fn ask(&self, host: SocketAddr) -> Result<Answer> {
        let body = self.request_body();
        let method = self.method.as_str();
        match self.wire {
            Wire::Ordinary if method != "HEAD" => {
                let headers: Vec<_> =
                    self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                client::send(host, method, &self.path, &headers, &body)
            }
            Wire::Ordinary => self.ask_raw(host, &format!("content-length: {}", body.len()), &body, false),
            Wire::Announced => self.ask_raw(host, &format!("content-length: {}", body.len()), b"", false),
            Wire::Truncated => self.ask_raw(host, &format!("content-length: {}", body.len() + 10), &body, true),
            Wire::Chunked => self.ask_raw(host, CHUNKED, &chunked(&body), false),
            Wire::ChunkedTruncated => {
                let body = chunked(&body);
                self.ask_raw(host, CHUNKED, &body[..body.len() - LAST_CHUNK.len()], true)
            }
            Wire::Pipelined => {
                let request = self.bytes(host, &format!("content-length: {}", body.len()), &body);
                let answers = client::send_raw(host, &request.repeat(2), &[method, method], false)?;
                let [first, second] = answers.try_into().ok().context("expected an answer to each of two requests")?;
                ensure!(
                    first.status == second.status && first.body == second.body,
                    "the answers to two equal requests differ: {first:?} and {second:?}"
                );
                Ok(second)
            }
        }
    }

    fn ask_raw(&self, host: SocketAddr, framing: &str, body: &[u8], half_close: bool) -> Result<Answer> {
        let bytes = self.bytes(host, framing, body);
        client::send_raw(host, &bytes, &[&self.method], half_close)?.pop().context("expected one answer")
    }

    fn bytes(&self, host: SocketAddr, framing: &str, body: &[u8]) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {host}\r\n{framing}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }

    /// The bytes of the request's body.
    #[must_use]
    pub fn request_body(&self) -> Vec<u8> {
        let own = self.body.len() + self.body_bytes.len();
        let mut body = vec![b' '; self.body_length.saturating_sub(own)];
        body.extend_from_slice(self.body.as_bytes());
        body.extend_from_slice(&self.body_bytes);
        body
    }

    /// Whether the body is a form, and not JSON.
    #[must_use]
    pub fn is_form(&self) -> bool {
        let is_form = |value: &String| value.starts_with("application/x-www-form-urlencoded");
        self.headers.get("content-type").is_some_and(is_form) && !self.body.starts_with('{')
    }

    /// The event and the code of each journal line that the request writes.
    pub fn journal_lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let event = match canonical(&self.path).trim_start_matches("/api/v1/") {
            "validate" => "validation",
            "activate" => "activation",
            "deactivate" => "deactivation",
            other => other,
        };
        let requests = if self.wire == Wire::Pipelined { 2 } else { 1 };
        self.journal.iter().flat_map(move |code| vec![(event, code.as_str()); requests])
    }

    /// The answer's body without what differs between runs and hosts: with `<moment>` for each time
    /// expected so, and without the warning `LIMIT_IS_SOFT`.
    pub fn comparable(&self, answer: &Answer) -> Result<String> {
        Ok(without_soft_limit(&self.without_moments(answer)?))
    }

    fn without_moments(&self, answer: &Answer) -> Result<String> {
        let mut text = answer.text();
        if let (Ok(found), Some(expected)) = (answer.json(), self.expected_body()?) {
            for moment in moments(&found, &expected) {
                text = text.replace(&format!("\"{moment}\""), &format!("\"{MOMENT}\""));
            }
        }
        Ok(text)
    }

    /// Fails unless the answer is the expected one.
    pub fn check(&self, answer: &Answer) -> Result<()> {
        ensure!(
            answer.status == self.status,
            "the status is {} and must be {}: {}",
            answer.status,
            self.status,
            answer.text()
        );
        for (name, expected) in self.expected_headers() {
            let found = answer.headers.get(&name);
            ensure!(found == Some(&expected), "header {name} is {found:?} and must be {expected:?}");
        }
        let Some(expected) = self.expected_body()?.filter(|_| self.method != "HEAD") else {
            ensure!(answer.body.is_empty(), "the answer must have no body, but has {}", answer.text());
            return Ok(());
        };
        let text = self.without_moments(answer)?;
        let mut found: Value = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
        if let Some(fields) = found.as_object_mut().filter(|fields| fields.contains_key("code")) {
            match fields.remove("detail") {
                Some(Value::String(detail)) if !detail.is_empty() => {}
                other => bail!("`detail` is {other:?} and must be a sentence"),
            }
        }
        ensure!(found == expected, "the body (without `detail`) is\n  {found}\nand must be\n  {expected}");
        Ok(())
    }

    fn expected_headers(&self) -> BTreeMap<String, String> {
        let mut headers = BTreeMap::from([
            ("cache-control".to_owned(), "no-store".to_owned()),
            ("access-control-allow-origin".to_owned(), "*".to_owned()),
        ]);
        if self.problem.is_some() {
            headers.insert("content-type".into(), "application/problem+json".into());
        } else if self.answer.is_some() {
            headers.insert("content-type".into(), "application/json".into());
        }
        headers.extend(self.answer_headers.clone());
        headers
    }

    fn expected_body(&self) -> Result<Option<Value>> {
        if let Some(problem) = &self.problem {
            let title = match self.status {
                400 => "Bad Request",
                404 => "Not Found",
                405 => "Method Not Allowed",
                413 => "Content Too Large",
                415 => "Unsupported Media Type",
                422 => "Unprocessable Content",
                503 => "Service Unavailable",
                other => bail!("no title is known for a problem of status {other}"),
            };
            let mut body = json!({ "type": "about:blank", "title": title, "status": self.status });
            body.as_object_mut().context("a problem is an object")?.extend(problem.clone());
            return Ok(Some(body));
        }
        self.answer
            .as_deref()
            .map(|text| serde_json::from_str(text).context("the expected answer is not JSON"))
            .transpose()
    }
}

/// Matches any time in an answer.
const MOMENT: &str = "<moment>";

/// The times in `found` at the places where `expected` has [`MOMENT`].
fn moments<'a>(found: &'a Value, expected: &Value) -> Vec<&'a str> {
    match (found, expected) {
        (Value::String(text), expected) if expected == MOMENT && Timestamp::parse(text).is_ok() => vec![text],
        (Value::Array(found), Value::Array(expected)) => {
            found.iter().zip(expected).flat_map(|(found, expected)| moments(found, expected)).collect()
        }
        (Value::Object(found), Value::Object(expected)) => {
            let both = found.iter().filter_map(|(name, found)| Some((found, expected.get(name)?)));
            both.flat_map(|(found, expected)| moments(found, expected)).collect()
        }
        _ => Vec::new(),
    }
}

/// An answer's JSON without the warning `LIMIT_IS_SOFT`.
fn without_soft_limit(json: &str) -> String {
    json.replace(r#","warnings":["LIMIT_IS_SOFT"]"#, "").replace(r#","LIMIT_IS_SOFT""#, "")
}

const CHUNKED: &str = "transfer-encoding: chunked";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// RFC 9112, section 7.1.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    for chunk in body.chunks(4096) {
        coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(LAST_CHUNK);
    coded
}
