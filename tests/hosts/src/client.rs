//! An ordinary HTTP client, and a raw one for bytes that no client sends.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use ureq::Agent;
use ureq::http::Request;

/// Longer than the deadline of any host.
const TIMEOUT: Duration = Duration::from_secs(30);
/// For one attempt while a host starts.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// One HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case; repeated ones joined by `, ` (RFC 9110, section 5.3).
    pub headers: BTreeMap<String, String>,
    /// The body, transfer coding removed.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {} with a body that is not JSON: {:?}", self.status, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one ordinary request on a kept-alive connection.
pub fn send(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    static AGENT: LazyLock<Agent> = LazyLock::new(|| agent(TIMEOUT));
    send_by(&AGENT, to, method, path, headers, body)
}

/// Whether an HTTP server answers there, with any status.
#[must_use]
pub fn answers(at: SocketAddr) -> bool {
    send_by(&agent(PROBE_TIMEOUT), at, "GET", "/healthz", &[], b"").is_ok()
}

fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(timeout))
        .build()
        .new_agent()
}

fn send_by(
    agent: &Agent,
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let mut request = Request::builder().method(method).uri(format!("http://{to}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // The client announces an empty body, but not an absent one.
    let mut response = if body.is_empty() && method != "POST" {
        agent.run(request.body(())?)?
    } else {
        agent.run(request.body(body)?)?
    };
    let mut headers = BTreeMap::new();
    for (name, value) in response.headers() {
        add_header(&mut headers, name.as_str(), value.as_bytes());
    }
    Ok(Answer { status: response.status().as_u16(), headers, body: response.body_mut().read_to_vec()? })
}

/// Sends `bytes` as they are and reads one answer for each of `methods`, the methods of the
/// requests in `bytes`. With `half_close`, closes the sending side after the last byte.
///
/// Answers may arrive before all is sent, and the host may then close the connection.
pub fn send_raw(to: SocketAddr, bytes: &[u8], methods: &[&str], half_close: bool) -> Result<Vec<Answer>> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // A host that refuses early closes the connection before it has all bytes.
    let _ = stream.write_all(bytes);
    if half_close {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut received = Vec::new();
    let mut answers = Vec::new();
    for method in methods {
        answers.push(read_answer(&mut stream, &mut received, *method == "HEAD")?);
    }
    Ok(answers)
}

/// Reads one answer. `received` keeps the bytes after it.
fn read_answer(stream: &mut TcpStream, received: &mut Vec<u8>, headless: bool) -> Result<Answer> {
    let (status, headers, head_length) = loop {
        if let Some(head) = parse_head(received)? {
            break head;
        }
        ensure!(
            read_more(stream, received)?,
            "the connection closed within the head of an answer: {:?}",
            text(received)
        );
    };
    received.drain(..head_length);

    let body = if headless || status == 204 {
        Vec::new()
    } else if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        read_chunked(stream, received)?
    } else if let Some(length) = headers.get("content-length") {
        take(stream, received, length.parse()?)?
    } else {
        while read_more(stream, received)? {}
        std::mem::take(received)
    };
    Ok(Answer { status, headers, body })
}

type Head = (u16, BTreeMap<String, String>, usize);

fn parse_head(received: &[u8]) -> Result<Option<Head>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(received)? else { return Ok(None) };
    let mut headers = BTreeMap::new();
    for field in head.headers.iter() {
        add_header(&mut headers, field.name, field.value);
    }
    Ok(Some((head.code.context("the answer has no status")?, headers, length)))
}

/// RFC 9112, section 7.1, without extensions and trailers, which none of these hosts sends.
fn read_chunked(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(end) = received.windows(2).position(|pair| pair == b"\r\n") {
                break received.drain(..end + 2).collect::<Vec<u8>>();
            }
            ensure!(read_more(stream, received)?, "the connection closed between two chunks");
        };
        let size = usize::from_str_radix(text(&line).trim(), 16)
            .map_err(|_| anyhow!("{:?} is not a chunk size; it must be hexadecimal", text(&line)))?;
        let mut chunk = take(stream, received, size + 2)?;
        chunk.truncate(size);
        body.append(&mut chunk);
        if size == 0 {
            return Ok(body);
        }
    }
}

fn take(stream: &mut TcpStream, received: &mut Vec<u8>, length: usize) -> Result<Vec<u8>> {
    while received.len() < length {
        ensure!(read_more(stream, received)?, "the connection closed within the body of an answer");
    }
    Ok(received.drain(..length).collect())
}

/// Returns false once the host has closed the connection.
fn read_more(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<bool> {
    let mut buffer = [0; 8192];
    let count = stream.read(&mut buffer)?;
    received.extend_from_slice(&buffer[..count]);
    Ok(count > 0)
}

fn add_header(headers: &mut BTreeMap<String, String>, name: &str, value: &[u8]) {
    let value = String::from_utf8_lossy(value);
    headers
        .entry(name.to_ascii_lowercase())
        .and_modify(|earlier| {
            earlier.push_str(", ");
            earlier.push_str(&value);
        })
        .or_insert_with(|| value.into_owned());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
