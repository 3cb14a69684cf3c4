//! What a server does for its registrar in the background: it delivers the outbox, reports
//! validations and licences whose time began, and has data removed that is too old.

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{Refusal, Registrar};
use crate::imports::counts::{Counts, Taken};
use crate::limits::{COUNTS_PAUSE, COUNTS_PER_REQUEST, MAX_OUTBOX_PAUSE, OUTBOX_PAUSE, PORTION_PAUSE, RETENTION_PAUSE};

/// Delivers what is in the outbox, again and again. Never returns.
pub async fn deliver(registrar: &Registrar) {
    let mut pause = OUTBOX_PAUSE;
    loop {
        match registrar.ask("POST", "/api/v1/outbox/deliveries", Some(&json!({}))).await {
            Ok(progress) if progress["left"] == 0 => {
                pause = OUTBOX_PAUSE;
                // The outbox is empty. A client's request may add to it, and so may another
                // process.
                let idle = sleep(MAX_OUTBOX_PAUSE);
                tokio::select! { () = idle => {}, () = registrar.changed.notified() => sleep(OUTBOX_PAUSE).await }
                continue;
            }
            Ok(progress) if progress["delivered"].as_u64().is_some_and(|delivered| delivered > 0) => {
                pause = OUTBOX_PAUSE;
            }
            failed => {
                if pause == OUTBOX_PAUSE {
                    let reason = failed.err().map_or("the store refuses the writes".into(), |error| error.to_string());
                    tracing::warn!(reason, "cannot deliver the outbox; retrying");
                }
                pause = (2 * pause).min(MAX_OUTBOX_PAUSE);
            }
        }
        sleep(pause).await;
    }
}

/// Has data removed that is too old, and all licences looked at whose time may have begun, in
/// portions, every [`RETENTION_PAUSE`]. Never returns.
pub async fn clean(registrar: &Registrar) {
    loop {
        match registrar.ask("POST", "/api/v1/retention", None).await {
            Ok(removed) if removed["more"] == true => sleep(PORTION_PAUSE).await,
            removed => {
                if let Err(error) = removed {
                    tracing::warn!(%error, "cannot remove data that is too old; retrying later");
                }
                // Reports may have been lost, as when the server was killed.
                if let Err(error) = find_beginnings(registrar, json!({})).await {
                    tracing::warn!(%error, "cannot look for licences whose time began; retrying later");
                }
                sleep(RETENTION_PAUSE).await;
            }
        }
    }
}

/// Has the registrar look at licences whose time may have begun, in portions.
async fn find_beginnings(registrar: &Registrar, mut asked: Value) -> Result<(), Refusal> {
    loop {
        let mut found = registrar.ask("POST", "/api/v1/licenses/beginnings", Some(&asked)).await?;
        match found["next"].take() {
            Value::Null => return Ok(()),
            next => asked["cursor"] = next,
        }
        sleep(PORTION_PAUSE).await;
    }
}

/// Reports validations to the registrar every [`COUNTS_PAUSE`], and a last time when `stops` gets a
/// message or is dropped.
pub async fn report_counts(registrar: &Registrar, counts: &Counts, mut stops: oneshot::Receiver<()>) {
    let mut is_failing = false;
    let mut is_last = false;
    while !is_last {
        is_last = timeout(COUNTS_PAUSE, &mut stops).await.is_ok();
        let reported = report(registrar, counts).await.and(report_beginnings(registrar, counts).await);
        if let (Err(error), false) = (&reported, is_failing) {
            tracing::warn!(%error, "cannot report validations; retrying");
        }
        is_failing = reported.is_err();
    }
}

/// Reports the licences whose time began. If the registrar does not answer they are reported again,
/// which does no harm.
async fn report_beginnings(registrar: &Registrar, counts: &Counts) -> Result<(), Refusal> {
    let mut left = counts.take_begun();
    while !left.is_empty() {
        let now = left.split_off(left.len().saturating_sub(COUNTS_PER_REQUEST));
        if let Err(error) = find_beginnings(registrar, json!({ "licenses": now })).await {
            counts.add_begun(now.into_iter().chain(left));
            return Err(error);
        }
    }
    Ok(())
}

/// Reports all that was counted so far. What the registrar refuses is kept for the next report. If
/// it does not answer, it may have counted them, so the validations of that request count as lost.
async fn report(registrar: &Registrar, counts: &Counts) -> Result<(), Refusal> {
    let Taken { counts: mut left, mut lost } = counts.take();
    while !left.is_empty() || lost > 0 {
        let now = Taken { counts: left.split_off(left.len().saturating_sub(COUNTS_PER_REQUEST)), lost };
        lost = 0;
        let reported = registrar.ask("POST", "/api/v1/stats/validations", Some(&json!(now))).await;
        if let Err(error) = reported {
            match error {
                Refusal::Silent(_) => counts.note_lost(now.validations() + now.lost),
                Refusal::Refused(..) => counts.put_back(now),
            }
            counts.put_back(Taken { counts: left, lost: 0 });
            return Err(error);
        }
    }
    Ok(())
}
