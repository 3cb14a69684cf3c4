//! Gives a seat back.

use countersign::decide::{Case, occupancy};
use countersign::id::LicenseId;
use countersign::name::Nonce;
use countersign::request::{Request, Verb};
use countersign::transitions;
use countersign::verdict::{Occupancy, Verdict};
use serde::Serialize;

use crate::answer;
use crate::clock::Stopwatch;
use crate::problem::Problem;
use crate::records::{self, Unavailable};
use crate::verb;
use countersign_app_common::service::{self, Response};

/// What became of a seat.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deactivation<'a> {
    /// Whether there was one. To give back what one does not have is no error.
    pub(crate) deactivated: bool,
    pub(crate) license_id: &'a LicenseId,
    /// How many are taken now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seats: Option<Occupancy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a Nonce>,
}

/// `POST /api/v1/deactivate`
pub(crate) fn post(http: &service::Request) -> Result<Response, Problem> {
    verb::post(Verb::Deactivate, http, &|request, stopwatch| {
        let found = |deactivation: &Deactivation<'_>| answer::json(200, answer::encode(deactivation));
        deactivate(request, stopwatch, found, |verdict| verb::verdict(verdict, None, request))
    })
}

/// Two reads, and a write if there was a seat to give back. `otherwise` answers where no licence has the key.
pub(crate) fn deactivate<T>(
    request: &Request,
    stopwatch: &mut Stopwatch,
    answer: impl FnOnce(&Deactivation<'_>) -> T,
    otherwise: impl FnOnce(&Verdict) -> T,
) -> Result<T, Unavailable> {
    verb::on_license(
        "deactivation",
        request,
        stopwatch,
        |license, stopwatch| {
            let deactivation = records::change(license, stopwatch, |state, now| {
                let deactivated = transitions::deactivate(&Case::new(license, request), state, now);
                let seats = occupancy(license, state, now);
                Deactivation { deactivated, license_id: &license.id, seats, nonce: request.nonce.as_ref() }
            })?;
            let code = if deactivation.deactivated { "DEACTIVATED" } else { "NOT_ACTIVATED" };
            Ok((code, answer(&deactivation)))
        },
        otherwise,
    )
}
