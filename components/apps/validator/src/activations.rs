//! Lists the seats in use: those that the holder may see.

use countersign::decide::{Case, occupancy};
use countersign::holder::Per;
use countersign::id::LicenseId;
use countersign::nonce::Nonce;
use countersign::request::{Request, Verb};
use countersign::state::Seat;
use countersign::verdict::{ActivationFacts, Occupancy};
use countersign_app_common::answer;
use countersign_app_common::problem::Problem;
use countersign_app_common::service::{self, Response};
use serde::Serialize;

use crate::context::Context;
use crate::flow::{self, Judged};
use crate::journal;
use crate::store;
use crate::unavailable::Unavailable;

/// The seats of a licence.
pub(crate) struct Seating {
    license_id: LicenseId,
    /// What takes a seat, and how many are taken, if the licence counts seats.
    pub(crate) counted: Option<(Per, Occupancy)>,
    /// Seats that the holder may list, in the order in which they were taken.
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
    let (request, mut context) = flow::begin(Verb::Activations, http)?;
    let listed = activations(&request, &mut context).map(|seating| match &seating {
        Ok(seating) => answer::json(200, &Answer::new(seating, &request)),
        Err(judged) => judged.to_response(&request),
    });
    Ok(flow::finish(listed, &context))
}

impl<'a> Answer<'a> {
    fn new(seating: &'a Seating, request: &'a Request) -> Self {
        Self {
            license_id: &seating.license_id,
            per: seating.counted.map(|(per, _)| per),
            seats: seating.counted.map(|(_, seats)| seats),
            activations: seating.seats.iter().map(ActivationFacts::from).collect(),
            nonce: request.nonce(),
        }
    }
}

/// Two reads. The verdict in place of the seats if no licence has the key, or a revoked one.
pub(crate) fn activations(request: &Request, context: &mut Context) -> Result<Result<Seating, Judged>, Unavailable> {
    // A list that may be out of date is worth nothing to who looks for a seat to release.
    let holds = |listed: &Result<Seating, Judged>| listed.as_ref().is_err_and(Judged::holds);
    let listed = flow::confirm(context, holds, |context| list(request, context));
    let code = listed.as_ref().map(|seating| seating.as_ref().map_or_else(Judged::code, |_| "LISTED"));
    journal::note("activations", code, context);
    listed
}

fn list(request: &Request, context: &mut Context) -> Result<Result<Seating, Judged>, Unavailable> {
    let license = match flow::find(request, context)? {
        Ok(license) => license,
        Err(judged) => return Ok(Err(judged)),
    };
    let (state, now) = store::state(&license.id, context)?;
    let counted = license.seat_policy.map(|policy| policy.per).zip(occupancy(&license, &state, now));
    let seats = Case::new(&license, request).seats(&state, now);
    Ok(Ok(Seating { license_id: license.id, counted, seats }))
}
