//! Who has a seat, for the holder of the key.

use countersign::decide::occupancy;
use countersign::holder::Per;
use countersign::id::LicenseId;
use countersign::name::Nonce;
use countersign::request::{Request, Verb};
use countersign::state::Seat;
use countersign::verdict::{ActivationFacts, Occupancy, Verdict};
use serde::Serialize;

use crate::answer;
use crate::clock::Stopwatch;
use crate::problem::Problem;
use crate::records::{self, Unavailable};
use crate::verb;
use countersign_app_common::service::{self, Response};

/// The seats of a licence.
pub(crate) struct Seating<'a> {
    pub(crate) license_id: &'a LicenseId,
    /// What takes a seat, and how many are taken; nothing where the licence counts none.
    pub(crate) counted: Option<(Per, Occupancy)>,
    /// Those whose lease runs, in the order in which they were taken.
    pub(crate) seats: Vec<Seat>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    license_id: &'a LicenseId,
    #[serde(skip_serializing_if = "Option::is_none")]
    per: Option<Per>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seats: Option<Occupancy>,
    activations: Vec<ActivationFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a Nonce>,
}

/// `POST /api/v1/activations`
pub(crate) fn post(http: &service::Request) -> Result<Response, Problem> {
    verb::post(Verb::Activations, http, &|request, stopwatch| {
        let found = |seating: &Seating<'_>| {
            answer::json(
                200,
                answer::encode(&Answer {
                    license_id: seating.license_id,
                    per: seating.counted.map(|(per, _)| per),
                    seats: seating.counted.map(|(_, seats)| seats),
                    activations: seating.seats.iter().map(ActivationFacts::from).collect(),
                    nonce: request.nonce.as_ref(),
                }),
            )
        };
        activations(request, stopwatch, found, |verdict| verb::verdict(verdict, None, request))
    })
}

/// Two reads. `otherwise` answers where no licence has the key.
pub(crate) fn activations<T>(
    request: &Request,
    stopwatch: &mut Stopwatch,
    answer: impl FnOnce(&Seating<'_>) -> T,
    otherwise: impl FnOnce(&Verdict) -> T,
) -> Result<T, Unavailable> {
    verb::on_license(
        "activations",
        request,
        stopwatch,
        |license, stopwatch| {
            let seating = records::change(license, stopwatch, |state, now| Seating {
                license_id: &license.id,
                counted: license.seat_policy.map(|policy| policy.per).zip(occupancy(license, state, now)),
                seats: state.seats.iter().filter(|seat| seat.is_live(now)).copied().collect(),
            })?;
            Ok(("LISTED", answer(&seating)))
        },
        otherwise,
    )
}
