//! Reports validations to the origin, so that its statistics know of every edge.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Origin;
use crate::bindings::fetch::{Header, Request};
use crate::imports::counts::{Counts, Taken};
use crate::limits::{COUNTS_PAUSE, COUNTS_PER_REQUEST, FOLLOW_TIMEOUT};

/// One request. It is repeated until it is answered, under one idempotency key, so that it counts
/// once.
struct Report {
    key: String,
    body: Vec<u8>,
}

/// Reports validations every [`COUNTS_PAUSE`], and a last time when `stops` gets a message or is
/// dropped. What was counted while the origin did not answer is reported when it does; what is
/// counted when the process ends without that is lost.
pub async fn report(origin: Arc<Origin>, counts: Counts, mut stops: oneshot::Receiver<()>) {
    let (mut left, mut pending) = (Taken::default(), None);
    let (mut is_last, mut is_failing) = (false, false);
    while !is_last {
        is_last = timeout(COUNTS_PAUSE, &mut stops).await.is_ok();
        loop {
            if pending.is_none() {
                if left.counts.is_empty() {
                    left = counts.take();
                }
                let now = left.counts.split_off(left.counts.len().saturating_sub(COUNTS_PER_REQUEST));
                let lost = std::mem::take(&mut left.lost);
                if now.is_empty() && lost == 0 {
                    break;
                }
                pending = Report::new(&Taken { counts: now, lost });
            }
            let Some(report) = &pending else { break };
            match report.send(&origin).await {
                // What the origin refuses it would refuse again.
                Some(status) if status != 429 && status < 500 => {
                    if status >= 400 {
                        tracing::warn!(status, "the origin refuses to count validations");
                    }
                    (pending, is_failing) = (None, false);
                }
                _ => {
                    if !is_failing {
                        tracing::warn!("cannot report validations to the origin; retrying");
                    }
                    is_failing = true;
                    break;
                }
            }
        }
    }
}

impl Report {
    /// `None` if the system has no random bits: it is lost.
    fn new(taken: &Taken) -> Option<Self> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).ok()?;
        Some(Self { key: countersign::hex::encode(&bits), body: json!(taken).to_string().into_bytes() })
    }

    /// The status of the answer, if there was one.
    async fn send(&self, origin: &Arc<Origin>) -> Option<u16> {
        let header = |name: &str, value: String| Header { name: name.into(), value };
        let request = Request {
            method: "POST".into(),
            url: format!("{}/api/v1/origin/validations", origin.base()),
            headers: vec![
                header("authorization", format!("Bearer {}", origin.token())),
                header("content-type", "application/json".into()),
                header("idempotency-key", self.key.clone()),
            ],
            body: self.body.clone(),
            timeout_millis: FOLLOW_TIMEOUT.as_millis() as u32,
            max_body_bytes: 64 * 1024,
        };
        let origin = origin.clone();
        spawn_blocking(move || origin.send(request)).await.ok()?.ok().map(|response| response.status)
    }
}
