//! One request and the answer that every host gives to it: an entry of `scenarios/*.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use countersign::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::{self, Answer};
use crate::hosts::Host;

/// A request with its expected answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What is claimed, as a trial's name.
    pub name: String,
    /// The request's method.
    #[serde(default = "post")]
    pub method: String,
    /// The request's path, with a query if any.
    #[serde(default = "validate")]
    pub path: String,
    /// The request's headers beside those that the client writes.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The request's body, in which placeholders stand for parts of the fixtures.
    #[serde(default)]
    pub body: String,
    /// Bytes after `body` that no text can hold.
    #[serde(default)]
    pub body_bytes: Vec<u8>,
    /// Fills the body with spaces, before all else, up to this many bytes: JSON allows them.
    #[serde(default)]
    pub body_length: usize,
    /// How the request goes over the wire.
    #[serde(default)]
    pub wire: Wire,
    /// The answer's status code.
    pub status: u16,
    /// Headers that the answer has beside those that all answers have.
    #[serde(default)]
    pub answer_headers: BTreeMap<String, String>,
    /// The answer's JSON, all but `detail`: that is a sentence for people, whose wording may change. `<moment>` stands for any
    /// moment of RFC 3339, and the warning `LIMIT_IS_SOFT` is due only where the store's compare-and-swap is not atomic.
    pub answer: Option<String>,
    /// In place of `answer`: the `code`, and `field` if any, of an RFC 9457 problem.
    pub problem: Option<Map<String, Value>>,
    /// The code of the journal line that the request leaves; none if absent.
    pub journal: Option<String>,
    /// What it has to do with the seats and the usage of a licence, which a read-only store cannot keep.
    pub state: Option<Use>,
    /// The earlier scenario whose answer tells of a lease that has to end before this is asked.
    pub after_lease_of: Option<String>,
    /// Hosts that cannot be asked this, and why.
    #[serde(default)]
    pub except: BTreeMap<String, String>,
}

/// What a request has to do with the seats and the usage of a licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// It writes them, whatever was asked before: where the store is read-only, the answer is a 503.
    Written,
    /// Its answer depends on what an earlier scenario wrote: not asked where the store is read-only.
    Read,
}

/// How a request goes over the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// By an ordinary client.
    #[default]
    Ordinary,
    /// The head announces the body, of which not one byte follows.
    Announced,
    /// In chunks, so that nothing announces its length.
    Chunked,
    /// The client goes away ten bytes before the end that it announced.
    Truncated,
    /// The client goes away before the last chunk.
    ChunkedTruncated,
    /// Twice in one write on one connection; both answers are the same.
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

/// What is asked of a host whose store does not answer.
const FAULTS: (&str, &str) = ("faults", include_str!("../scenarios/faults.toml"));

/// The scenarios of every host, placeholders filled in.
pub fn all(placeholders: &BTreeMap<String, String>) -> Result<Vec<Scenario>> {
    let files: Result<Vec<_>> = FILES.into_iter().map(|file| read(file, placeholders)).collect();
    Ok(files?.concat())
}

/// The scenarios of a host whose store answers `error` to everything, placeholders filled in.
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
    /// As it is asked of this host, with the answer that its kind of store makes due.
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
                own.except.insert(host.name().into(), "its store keeps nothing".into());
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

    /// Asks a host.
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
                let [first, second] = answers.try_into().ok().context("two requests have two answers")?;
                ensure!(first.status == second.status && first.body == second.body, "{first:?} is not {second:?}");
                Ok(second)
            }
        }
    }

    fn ask_raw(&self, host: SocketAddr, framing: &str, body: &[u8], half_close: bool) -> Result<Answer> {
        let bytes = self.bytes(host, framing, body);
        client::send_raw(host, &bytes, &[&self.method], half_close)?.pop().context("one request has one answer")
    }

    fn bytes(&self, host: SocketAddr, framing: &str, body: &[u8]) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {host}\r\n{framing}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }

    /// The body that is sent.
    #[must_use]
    pub fn request_body(&self) -> Vec<u8> {
        let own = self.body.len() + self.body_bytes.len();
        let mut body = vec![b' '; self.body_length.saturating_sub(own)];
        body.extend_from_slice(self.body.as_bytes());
        body.extend_from_slice(&self.body_bytes);
        body
    }

    /// The event and the code of each journal line that the request leaves.
    pub fn journal_lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let event = match self.path.trim_start_matches("/api/v1/") {
            "validate" => "validation",
            "activate" => "activation",
            "deactivate" => "deactivation",
            other => other,
        };
        let requests = if self.wire == Wire::Pipelined { 2 } else { 1 };
        self.journal.iter().flat_map(move |code| vec![(event, code.as_str()); requests])
    }

    /// The answer's body without what may differ from run to run and from host to host: `<moment>` stands for each moment that is
    /// expected to be one, and limits are not said to be soft.
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

    /// Whether the answer is the expected one.
    pub fn check(&self, answer: &Answer) -> Result<()> {
        ensure!(
            answer.status == self.status,
            "status {} in place of {}: {}",
            answer.status,
            self.status,
            answer.text()
        );
        for (name, expected) in self.expected_headers() {
            let found = answer.headers.get(&name);
            ensure!(found == Some(&expected), "header {name} is {found:?} in place of {expected:?}");
        }
        let Some(expected) = self.expected_body()?.filter(|_| self.method != "HEAD") else {
            ensure!(answer.body.is_empty(), "a body where none is due: {}", answer.text());
            return Ok(());
        };
        let text = self.without_moments(answer)?;
        let mut found: Value = serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))?;
        if let Some(fields) = found.as_object_mut().filter(|fields| fields.contains_key("code")) {
            match fields.remove("detail") {
                Some(Value::String(detail)) if !detail.is_empty() => {}
                other => bail!("detail is {other:?}, which is no sentence"),
            }
        }
        ensure!(found == expected, "body (but for detail)\n  {found}\nin place of\n  {expected}");
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
                422 => "Unprocessable Content",
                503 => "Service Unavailable",
                other => bail!("no problem has status {other}"),
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

/// In an expected answer: some moment.
const MOMENT: &str = "<moment>";

/// The moments in what was found, where moments are expected.
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

/// The JSON of an answer without the warning that limits are soft.
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
