//! What has become of a licence in use: its seats, and what was used of its allowances. The validator writes it; this only reads.

use countersign::decide::occupancy;
use countersign::license::License;
use countersign::state::State;
use countersign::terms::Allowance;
use countersign::time::Timestamp;
use countersign::verdict::ActivationFacts;
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::host::store;
use crate::resources::licenses::issued::Issued;
use crate::wire::Response;
use crate::wire::answer;
use crate::wire::problem::Problem;

/// `GET /api/v1/licenses/{id}/activations`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    let license = Issued::find(ask, &ask.parameters[0])?.record;
    Ok(answer::json(200, &shown(&license, &store::state(&license.id)?, ask.now)))
}

fn shown(license: &License, state: &State, now: Timestamp) -> Value {
    let seats = state.seats.iter().filter(|seat| seat.is_live(now));
    let allowances = license.allowances.iter();
    let mut shown = json!({
        "activations": seats.map(ActivationFacts::from).collect::<Vec<_>>(),
        "usage": allowances.map(|allowance| used(allowance, state, now)).collect::<Vec<_>>(),
    });
    if let (Some(activation), Some(seats)) = (&license.seat_policy, occupancy(license, state, now)) {
        shown["per"] = json!(activation.per);
        shown["seats"] = json!(seats);
    }
    if let Some(begun_at) = state.begun_at {
        shown["begunAt"] = json!(begun_at);
    }
    shown
}

fn used(allowance: &Allowance, state: &State, now: Timestamp) -> Value {
    let (used, period) = state.used(allowance, now);
    json!({
        "name": allowance.name,
        "limit": allowance.limit,
        "used": used,
        "remaining": allowance.limit.saturating_sub(used),
        "resetsAt": allowance.period.end(period),
    })
}
