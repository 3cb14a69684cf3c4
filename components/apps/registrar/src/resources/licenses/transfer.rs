//! Moves a seat to another holder, as when a customer replaces a machine: the seat keeps its place,
//! its first use and its lease.

use std::str::FromStr;

use countersign::domain::Domain;
use countersign::field::FieldError;
use countersign::holder::{Fingerprint, Holder, Per};
use countersign::id::ActivationId;
use countersign::license::License;
use countersign::name::{Identifier, NameError};
use countersign::state::{Seat, State};
use countersign::terms::SeatPolicy;
use countersign::wish::{Move, Wish};
use countersign_app_common::fields::Fields;
use serde_json::{Value, json};

use super::{activations, current};
use crate::ask::Ask;
use crate::host::random::random;
use crate::host::store;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{Problem, REVOKED, conflict, missing, unprocessable};
use crate::write::change::{Change, change};

const ACTION: &str = "license.seat-transferred";

const NO_SEAT: Problem = Problem::new(404, "NOT_FOUND", "Nobody holds this seat.");

/// `POST /api/v1/licenses/{id}/activations/transfer`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let from = From::read(fields.object("from")?.ok_or_else(|| missing("from"))?)?;
    let to = To::read(fields.object("to")?.ok_or_else(|| missing("to"))?)?;
    fields.finish()?;
    change(ask, &mut || {
        let license = current(ask)?.record;
        if license.is_revoked() {
            return Err(REVOKED);
        }
        let policy = license.seat_policy.as_ref();
        let policy = policy.ok_or_else(|| unprocessable("from", "is a seat, and the licence does not count seats."))?;
        let holder = to.holder(&license, policy)?;
        let state = store::state(&license.id)?;
        let held = state.find(&holder, policy.sameness(), ask.now).map(|at| &state.seats[at]);
        let held = held.filter(|seat| seat.is_live(ask.now));
        let mut change = Change::of_license(&license.id);
        let seat = match (from.seat(ask, &license, policy, &state)?, held) {
            // It was moved before, or released and taken.
            (None, Some(held)) => *held,
            (None, None) => return Err(NO_SEAT),
            (Some(seat), Some(held)) if *held != *seat => {
                return Err(conflict("The new holder has another seat; release one of them."));
            }
            (Some(seat), _) => {
                let moved = Seat { holder, ..*seat };
                if moved != *seat {
                    let [before, after] = [seat, &moved].map(|seat| Some(activations::shown(&license, seat)));
                    change.wish(&license.id, &Wish::Move(Move::new(random(), seat, &holder, policy.sameness())));
                    change.event(ACTION, license.id.as_str(), before, after);
                }
                moved
            }
        };
        Ok((change, Answer::ok(json!({ "activation": activations::shown(&license, &seat) }), None)))
    })
}

/// Whose seat is moved.
enum From {
    Seat(ActivationId),
    Holder(Per, String),
}

impl From {
    fn read(mut fields: Fields) -> Result<Self, FieldError> {
        let user: Option<Trimmed> = fields.parse("user")?;
        let fingerprint: Option<Trimmed> = fields.parse("fingerprint")?;
        let domain: Option<Domain> = fields.parse("domain")?;
        let named = [
            fields.parse("activation")?.map(Self::Seat),
            domain.map(|domain| Self::Holder(Per::Domain, domain.as_str().to_owned())),
            user.map(|Trimmed(user)| Self::Holder(Per::User, user.as_str().to_owned())),
            fingerprint.map(|Trimmed(part)| Self::Holder(Per::Machine, part.as_str().to_owned())),
        ];
        let from = only(named).ok_or_else(|| {
            FieldError::new("from", "must have one of `activation`, `domain`, `user` and `fingerprint`.")
        })?;
        fields.finish()?;
        Ok(from)
    }

    /// The only held seat that this names, if there is one.
    fn seat<'a>(
        &self,
        ask: &Ask<'_>,
        license: &License,
        policy: &SeatPolicy,
        state: &'a State,
    ) -> Result<Option<&'a Seat>, Problem> {
        let is_named = |seat: &&Seat| match self {
            Self::Seat(id) => seat.holder.activation_id() == *id,
            Self::Holder(per, name) => {
                *per == policy.per && seat.holder.shares_a_name_with(&Holder::named(&license.id, name))
            }
        };
        let mut named = state.seats.iter().filter(|seat| seat.is_live(ask.now)).filter(is_named);
        match (named.next(), named.next()) {
            (_, Some(_)) => Err(conflict("Several seats have this name; name one by its `activation`.")),
            (seat, None) => Ok(seat),
        }
    }
}

/// Who gets the seat.
enum To {
    Machine(Fingerprint),
    Domain(Domain),
    User(Identifier),
}

impl To {
    fn read(mut fields: Fields) -> Result<Self, FieldError> {
        let user: Option<Trimmed> = fields.parse("user")?;
        let named = [
            fields.parse("domain")?.map(Self::Domain),
            user.map(|Trimmed(user)| Self::User(user)),
            fingerprint(&mut fields)?.map(Self::Machine),
        ];
        let to =
            only(named).ok_or_else(|| FieldError::new("to", "must have one of `domain`, `user` and `fingerprint`."))?;
        fields.finish()?;
        Ok(to)
    }

    /// The holder, who must be one that the licence could give a seat.
    fn holder(&self, license: &License, policy: &SeatPolicy) -> Result<Holder, Problem> {
        match (self, policy.per) {
            (Self::Machine(fingerprint), Per::Machine) => Ok(fingerprint.holder(&license.id)),
            (Self::Domain(domain), Per::Domain) => {
                if license.uncounted_domains.iter().any(|name| name.covers(domain)) {
                    return Err(unprocessable("to.domain", "takes no seat of this licence."));
                }
                if !license.domains.is_empty() && !license.domains.iter().any(|entry| entry.covers(domain)) {
                    return Err(unprocessable("to.domain", "is not among the licence's domains."));
                }
                Ok(policy.holder_of_domain(&license.id, domain))
            }
            (Self::User(user), Per::User) => {
                if !license.users.is_empty() && !license.users.contains(user) {
                    return Err(unprocessable("to.user", "is not among the licence's users."));
                }
                Ok(Holder::named(&license.id, user.as_str()))
            }
            (_, per) => {
                let name = if per == Per::Machine { "fingerprint" } else { per.as_str() };
                Err(unprocessable("to", format_args!("must be a `{name}`, as the licence has a seat per {per}.")))
            }
        }
    }
}

/// The only one that is there.
fn only<T, const N: usize>(named: [Option<T>; N]) -> Option<T> {
    let mut named = named.into_iter().flatten();
    named.next().filter(|_| named.next().is_none())
}

/// `fingerprint`: a text, or a list of its parts.
fn fingerprint(fields: &mut Fields) -> Result<Option<Fingerprint>, FieldError> {
    let parts = match fields.take_some("fingerprint") {
        None => return Ok(None),
        Some(Value::String(text)) => Some(vec![text]),
        Some(value) => serde_json::from_value(value).ok(),
    };
    let parts = parts.ok_or_else(|| fields.error("fingerprint", "must be a string or an array of strings."))?;
    let fingerprint = Fingerprint::parse_trimmed(&parts);
    fingerprint.map(Some).map_err(|error| fields.error("fingerprint", format_args!("{error}.")))
}

/// A name without what programs leave at its ends.
struct Trimmed(Identifier);

impl FromStr for Trimmed {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Identifier::parse_trimmed(text).map(Self)
    }
}
