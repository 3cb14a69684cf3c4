//! A licence's seats, and what was used of its allowances. The validator keeps them; a vendor can
//! list them, release seats and set usage, without the holder's key.

use countersign::decide::occupancy;
use countersign::domain::{Domain, DomainRule};
use countersign::field::FieldError;
use countersign::holder::{Holder, Per};
use countersign::id::ActivationId;
use countersign::license::License;
use countersign::name::Identifier;
use countersign::state::{Seat, State, Used};
use countersign::terms::{Allowance, SeatPolicy};
use countersign::time::Timestamp;
use countersign::verdict::ActivationFacts;
use countersign::wish::Wish;
use countersign_app_common::answer;
use serde_json::{Value, json};

use super::current;
use super::issued::IssuedLicense;
use crate::ask::Ask;
use crate::host::store;
use crate::wire::Response;
use crate::wire::answer::{Answer, object};
use crate::wire::problem::Problem;
use crate::write::change::{Change, change};

const ACTION: &str = "license.seats-released";

/// `GET /api/v1/licenses/{id}/activations`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    let license = IssuedLicense::find(ask, &ask.parameters[0])?.record;
    Ok(answer::json(200, &view(&license, &store::state(&license.id)?, ask.now)))
}

/// `DELETE /api/v1/licenses/{id}/activations`: all seats, or those of one holder, whom the query
/// names as `domain`, `user` or a part of a `fingerprint`.
pub(crate) fn release_all(ask: &Ask<'_>) -> Result<Response, Problem> {
    let domain = |text: &str| Domain::parse(text).map(|domain| domain.as_str().to_owned());
    let identifier = |text: &str| Identifier::parse_trimmed(text).map(|name| name.as_str().to_owned());
    let names = [
        ask.query.parse_one("domain", domain)?.map(|name| (Per::Domain, name)),
        ask.query.parse_one("user", identifier)?.map(|name| (Per::User, name)),
        ask.query.parse_one("fingerprint", identifier)?.map(|name| (Per::Machine, name)),
    ];
    let mut names = names.into_iter().flatten();
    let name = names.next();
    if names.next().is_some() {
        return Err(
            FieldError::new("", "`domain`, `user` and `fingerprint` exclude each other; send one of them.").into()
        );
    }
    release(ask, |license, seat| match &name {
        None => true,
        Some((per, name)) => {
            license.seat_policy.as_ref().is_some_and(|policy| policy.per == *per)
                && seat.holder.shares_a_name_with(&Holder::named(&license.id, name))
        }
    })
}

/// `DELETE /api/v1/licenses/{id}/activations/{activation}`: releasing a seat that nobody holds is
/// not an error.
pub(crate) fn release_one(ask: &Ask<'_>) -> Result<Response, Problem> {
    let refuse = |error| FieldError::new("", format_args!("The activation in the path {error}."));
    let id = ActivationId::parse(&ask.parameters[1]).map_err(refuse)?;
    release(ask, |_, seat| seat.holder.activation_id() == id)
}

/// Releases the seats that are chosen, ended ones too. The answer has those that were held.
fn release(ask: &Ask<'_>, is_chosen: impl Fn(&License, &Seat) -> bool) -> Result<Response, Problem> {
    change(ask, &mut || {
        let license = current(ask)?.record;
        let state = store::state(&license.id)?;
        let chosen: Vec<&Seat> = state.seats.iter().filter(|seat| is_chosen(&license, seat)).collect();
        let held = chosen.iter().filter(|seat| seat.is_live(ask.now));
        let held: Vec<_> = held.map(|seat| shown(&license, seat)).collect();
        let mut change = Change::of_license(&license.id);
        if !chosen.is_empty() {
            change.wish(&license.id, &Wish::release(chosen.into_iter()));
            change.event(ACTION, license.id.as_str(), Some(json!({ "activations": held })), None);
        }
        Ok((change, Answer::ok(json!({ "released": held }), None)))
    })
}

/// The state as the API shows it.
pub(super) fn view(license: &License, state: &State, now: Timestamp) -> Value {
    let seats = state.seats.iter().filter(|seat| seat.is_live(now));
    let allowances = license.allowances.iter();
    let mut view = json!({
        "activations": seats.map(|seat| shown(license, seat)).collect::<Vec<_>>(),
        "usage": allowances.map(|allowance| usage(license, allowance, state, now)).collect::<Vec<_>>(),
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

/// The seat, with what the vendor may know beyond what its holder may: the domain, if it is one
/// that the licence names, and when a lease was last renewed.
pub(super) fn shown(license: &License, seat: &Seat) -> Value {
    let mut view = object(&ActivationFacts::from(seat));
    let Some(policy) = &license.seat_policy else { return Value::Object(view) };
    view.extend(domain_of(license, policy, seat).map(|domain| ("domain".into(), domain.into())));
    view.extend(last_seen(policy, seat).map(|moment| ("lastSeenAt".into(), json!(moment))));
    Value::Object(view)
}

/// The domain of a seat. The state has only a hash of it, so this tries those that the licence
/// names, with `www` and without.
fn domain_of(license: &License, policy: &SeatPolicy, seat: &Seat) -> Option<String> {
    let names = license.domains.iter().map(DomainRule::to_string).flat_map(|entry| {
        let name = entry.strip_prefix("*.").unwrap_or(&entry).to_owned();
        let other = name.strip_prefix("www.").map_or_else(|| format!("www.{name}"), str::to_owned);
        [name, other]
    });
    let is_of = |name: &String| seat.holder == Holder::named(&license.id, name);
    names.filter(|_| policy.per == Per::Domain).find(is_of)
}

/// When the lease began that now runs. It may be off if the policy's lease had another length then,
/// but is never before the seat was taken.
fn last_seen(policy: &SeatPolicy, seat: &Seat) -> Option<Timestamp> {
    let (until, lease) = seat.until.zip(policy.lease_seconds)?;
    Some(until.minus_seconds(lease).max(seat.since))
}

/// An allowance, and what was used of it.
pub(super) fn usage(license: &License, allowance: &Allowance, state: &State, now: Timestamp) -> Value {
    let Used { used, resets_at, .. } = state.used(license, allowance, now);
    json!({
        "name": allowance.name,
        "limit": allowance.limit,
        "used": used,
        "remaining": allowance.limit.saturating_sub(used),
        "resetsAt": resets_at,
    })
}
