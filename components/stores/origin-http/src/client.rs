//! One request to the origin.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address;
use crate::bindings::countersign::license::fetch::{self, Header};
use crate::bindings::countersign::license::settings;
use crate::bindings::exports::countersign::license::origin::Error;

/// Bytes of an answer: a value at its longest, in base64, and room for the JSON.
const MAX_ANSWER_BYTES: u32 = 100_000;

/// Sends a message, and reads the answer.
///
/// # Errors
///
/// Any error of `store`. The origin's own words are not repeated.
pub(crate) fn post<Answer: DeserializeOwned>(
    function: &str,
    message: &impl Serialize,
    timeout_millis: u32,
) -> Result<Answer, Error> {
    let url = address::join(&setting("origin_url")?, &format!("/api/v1/origin/{function}"))
        .map_err(|wrong| Error::Other(wrong.into()))?;
    let header = |name: &str, value: String| Header { name: name.into(), value };
    let request = fetch::Request {
        method: "POST".into(),
        url,
        headers: vec![
            header("authorization", format!("Bearer {}", setting("origin_token")?)),
            header("content-type", "application/json".into()),
        ],
        body: serde_json::to_vec(message)
            .map_err(|_| Error::Other("a message to the origin cannot be written".into()))?,
        timeout_millis,
        max_body_bytes: MAX_ANSWER_BYTES,
    };
    let response = fetch::send(&request)?;
    match response.status {
        200 => serde_json::from_slice(&response.body).map_err(|_| no_origin(200)),
        401 | 403 => Err(Error::AccessDenied),
        413 => Err(Error::TooLarge),
        429 => Err(Error::Throttled),
        500.. => Err(Error::Unavailable(format!("the origin answered with status {}", response.status))),
        other => Err(no_origin(other)),
    }
}

fn no_origin(status: u16) -> Error {
    Error::Unavailable(format!("what answers at origin_url is not an origin (status {status})"))
}

fn setting(name: &str) -> Result<String, Error> {
    let value = settings::get(name).map_err(|_| Error::Unavailable("the settings cannot be read".into()))?;
    value.ok_or_else(|| Error::Other(format!("the setting {name} is missing")))
}

impl From<fetch::Error> for Error {
    fn from(error: fetch::Error) -> Self {
        match error {
            fetch::Error::Denied => Self::AccessDenied,
            fetch::Error::Timeout => Self::Unavailable("the origin did not answer in time".into()),
            fetch::Error::Unreachable(text) => Self::Unavailable(text),
            fetch::Error::TooLarge => Self::Unavailable("the origin's answer is too long".into()),
            fetch::Error::InvalidRequest => Self::Other("origin_url or origin_token is not valid".into()),
        }
    }
}
