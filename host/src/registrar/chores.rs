//! What a server does for its registrar beside passing requests on: it delivers the outbox and tells of validations.

use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{Refusal, Registrar};
use crate::imports::counts::{Counts, Taken};
use crate::limits::{COUNTS_PAUSE, COUNTS_PER_REQUEST, MAX_OUTBOX_PAUSE, OUTBOX_PAUSE};

/// Delivers what is in the outbox, at once and then for as long as this is polled.
pub async fn deliver(registrar: &Registrar) {
    let mut pause = OUTBOX_PAUSE;
    loop {
        match registrar.ask("POST", "/api/v1/outbox/deliveries", Some(&json!({}))).await {
            Ok(told) if told["left"] == 0 => {
                pause = OUTBOX_PAUSE;
                // Nothing is there now. Another process may leave something; a request of a client's probably does.
                let idle = sleep(MAX_OUTBOX_PAUSE);
                tokio::select! { () = idle => {}, () = registrar.changed.notified() => sleep(OUTBOX_PAUSE).await }
                continue;
            }
            Ok(told) if told["delivered"].as_u64().is_some_and(|delivered| delivered > 0) => pause = OUTBOX_PAUSE,
            told => {
                if pause == OUTBOX_PAUSE {
                    let why = told.err().map_or("the store does not take it".into(), |error| error.to_string());
                    tracing::warn!(why, "the outbox is not delivered");
                }
                pause = (2 * pause).min(MAX_OUTBOX_PAUSE);
            }
        }
        sleep(pause).await;
    }
}

/// Tells the registrar of validations, now and then, and a last time when `stops` says so or is dropped.
pub async fn tell_counts(registrar: &Registrar, counts: &Counts, mut stops: oneshot::Receiver<()>) {
    let mut is_failing = false;
    let mut is_last = false;
    while !is_last {
        is_last = timeout(COUNTS_PAUSE, &mut stops).await.is_ok();
        let told = tell(registrar, counts).await;
        if let (Err(error), false) = (&told, is_failing) {
            tracing::warn!(%error, "validations are not counted");
        }
        is_failing = told.is_err();
    }
}

/// Tells it of all that was counted so far. What it refuses is kept for the next time; what it may have counted without saying so is
/// lost, and counted as that.
async fn tell(registrar: &Registrar, counts: &Counts) -> Result<(), Refusal> {
    let Taken { counts: mut left, mut lost } = counts.take();
    while !left.is_empty() || lost > 0 {
        let now = Taken { counts: left.split_off(left.len().saturating_sub(COUNTS_PER_REQUEST)), lost };
        lost = 0;
        let told = registrar.ask("POST", "/api/v1/stats/validations", Some(&json!(now))).await;
        if let Err(error) = told {
            match error {
                Refusal::Silent(_) => counts.note_lost(now.validations() + now.lost),
                Refusal::Refused(..) => counts.give_back(now),
            }
            counts.give_back(Taken { counts: left, lost: 0 });
            return Err(error);
        }
    }
    Ok(())
}
