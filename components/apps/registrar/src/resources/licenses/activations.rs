//! A licence's usage state: its seats, and the use of its allowances. The validator writes it.

use countersign::decide::occupancy;
use countersign::license::License;
use countersign::state::State;
use countersign::terms::Allowance;
use countersign::time::Timestamp;
use countersign::verdict::ActivationFacts;
use countersign_app_common::answer;
use serde_json::{Value, json};

use super::issued::IssuedLicense;
use crate::ask::Ask;
use crate::host::store;
use crate::wire::Response;
use crate::wire::problem::Problem;

/// `GET /api/v1/licenses/{id}/activations`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    let license = IssuedLicense::find(ask, &ask.parameters[0])?.record;
    Ok(answer::json(200, &view(&license, &store::state(&license.id)?, ask.now)))
}

/// The state as the API shows it.
pub(super) fn view(license: &License, state: &State, now: Timestamp) -> Value {
    let seats = state.seats.iter().filter(|seat| seat.is_live(now));
    let allowances = license.allowances.iter();
    let mut view = json!({
        "activations": seats.map(ActivationFacts::from).collect::<Vec<_>>(),
        "usage": allowances.map(|allowance| usage(allowance, state, now)).collect::<Vec<_>>(),
    });
    if let (Some(policy), Some(seats)) = (&license.seat_policy, occupancy(license, state, now)) {
        view["per"] = json!(policy.per);
        view["seats"] = json!(seats);
    }
    if let Some(begun_at) = state.begun_at {
        view["begunAt"] = json!(begun_at);
    }
    view
}

fn usage(allowance: &Allowance, state: &State, now: Timestamp) -> Value {
    let (used, period) = state.used(allowance, now);
    json!({
        "name": allowance.name,
        "limit": allowance.limit,
        "used": used,
        "remaining": allowance.limit.saturating_sub(used),
        "resetsAt": allowance.period.end(period),
    })
}
