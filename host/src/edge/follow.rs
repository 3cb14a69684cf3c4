//! Follows the changes of licences at the origin, so that a revocation arrives within a second or
//! two, and the edge has all licences when the origin is out of reach.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::Origin;
use crate::bindings::edge::Change;
use crate::bindings::fetch::{Error, Header, Request, Response};
use crate::bindings::store::Expectation;
use crate::engine::Engine;
use crate::imports::store::Shared;
use crate::limits::{
    APPLIED_AT_ONCE, FOLLOW_PAUSE, FOLLOW_TIMEOUT, MAX_CHANGES_ANSWER_BYTES, MAX_FOLLOW_PAUSE, REPORT_PROGRESS,
};

/// The entry of near that has the cursor after the last change that arrived.
const CURSOR: &str = "edge:cursor";

#[derive(Deserialize)]
struct Changes {
    items: Vec<Item>,
    next: String,
    more: bool,
}

#[derive(Deserialize)]
struct Item {
    key: String,
    #[serde(deserialize_with = "from_base64")]
    value: Vec<u8>,
    version: String,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}", reason(.0))]
    Fetch(Error),
    #[error("the origin answered with status {0}")]
    Status(u16),
    #[error("what answers there is not an origin")]
    NotAnOrigin,
    #[error("the changes cannot be kept: {0}")]
    Kept(String),
    /// The origin has another history than it had.
    #[error("the origin does not know the last change that arrived")]
    OtherHistory,
}

/// Follows the origin's changes for as long as the process runs. Never returns. A failure is logged
/// once, and retried with a growing pause; meanwhile what near has grows older, and the component
/// knows it.
pub async fn follow(origin: Arc<Origin>, engine: Arc<Engine>, near: Arc<Shared>) {
    let mut pause = FOLLOW_PAUSE;
    let mut arrived = 0_usize;
    loop {
        let began = now();
        match step(&origin, &engine, &near).await {
            Ok((changes, more)) => {
                if pause > FOLLOW_PAUSE {
                    tracing::info!("the origin answers again");
                }
                pause = FOLLOW_PAUSE;
                arrived += changes;
                if more {
                    if arrived / REPORT_PROGRESS > (arrived - changes) / REPORT_PROGRESS {
                        tracing::info!(arrived, "licences arrive from the origin");
                    }
                    continue;
                }
                if origin.current().is_none() {
                    tracing::info!(arrived, "all licences of the origin are here");
                }
                origin.set_current(began);
                sleep(pause).await;
            }
            Err(error) => {
                if pause == FOLLOW_PAUSE {
                    tracing::warn!(%error, "cannot follow the origin's changes; retrying");
                }
                if matches!(error, Failure::OtherHistory) {
                    // What is here is confirmed one by one until all has arrived again.
                    origin.set_current(0);
                    let _ = near.delete(CURSOR.into()).await;
                }
                pause = (2 * pause).min(MAX_FOLLOW_PAUSE);
                sleep(pause).await;
            }
        }
    }
}

/// Fetches the next changes and has the component keep them. Returns their number, and whether
/// there are more.
async fn step(origin: &Arc<Origin>, engine: &Arc<Engine>, near: &Arc<Shared>) -> Result<(usize, bool), Failure> {
    let kept = |error| Failure::Kept(format!("{error:?}"));
    let cursor = near.get(CURSOR).map_err(kept)?.and_then(|entry| String::from_utf8(entry.value).ok());
    // It may change within this second, so a refusal by it is confirmed first.
    let confirmed_at = now().saturating_sub(1);
    let Changes { items, next, more } = fetch(origin, cursor.as_deref()).await?;
    let count = items.len();
    let changes = items.into_iter().map(|Item { key, value, version }| {
        let version = version.parse().map_err(|_| Failure::NotAnOrigin)?;
        Ok(Change { key, value, version, confirmed_at })
    });
    let changes = changes.collect::<Result<Vec<_>, Failure>>()?;
    // Writes that happen at once share a commit.
    let mut applying = JoinSet::new();
    for part in changes.chunks(count.div_ceil(APPLIED_AT_ONCE).max(1)) {
        let (engine, part) = (engine.clone(), part.to_vec());
        applying.spawn(async move { engine.apply(&part).await });
    }
    while let Some(applied) = applying.join_next().await {
        let applied = applied.map_err(|error| Failure::Kept(error.to_string()))?;
        applied.map_err(|error| Failure::Kept(error.to_string()))?.map_err(Failure::Kept)?;
    }
    if cursor.as_deref() != Some(&next) {
        near.put(CURSOR.into(), next.into_bytes(), Expectation::Any, None).await.map_err(kept)?;
    }
    Ok((count, more))
}

fn reason(error: &Error) -> String {
    match error {
        Error::Timeout => "the origin did not answer in time".into(),
        Error::Unreachable(text) => text.clone(),
        Error::TooLarge => "the origin's answer is too long".into(),
        Error::Denied | Error::InvalidRequest => "the origin's address is not valid".into(),
    }
}

async fn fetch(origin: &Arc<Origin>, cursor: Option<&str>) -> Result<Changes, Failure> {
    let query = cursor.map_or(String::new(), |cursor| format!("?cursor={cursor}"));
    let request = Request {
        method: "GET".into(),
        url: format!("{}/api/v1/origin/changes{query}", origin.base()),
        headers: vec![Header { name: "authorization".into(), value: format!("Bearer {}", origin.token()) }],
        body: Vec::new(),
        timeout_millis: FOLLOW_TIMEOUT.as_millis() as u32,
        max_body_bytes: MAX_CHANGES_ANSWER_BYTES,
    };
    let origin = origin.clone();
    let sent = spawn_blocking(move || origin.send(request)).await;
    let Response { status, body } = sent.map_err(|_| Failure::NotAnOrigin)?.map_err(Failure::Fetch)?;
    match status {
        200 => serde_json::from_slice(&body).map_err(|_| Failure::NotAnOrigin),
        410 => Err(Failure::OtherHistory),
        status => Err(Failure::Status(status)),
    }
}

fn from_base64<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    use base64::Engine as _;
    let text = String::deserialize(deserializer)?;
    base64::engine::general_purpose::STANDARD.decode(text).map_err(serde::de::Error::custom)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
