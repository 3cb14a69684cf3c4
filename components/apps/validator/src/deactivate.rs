//! Releases a seat.

use countersign::decide::{Case, occupancy};
use countersign::id::LicenseId;
use countersign::nonce::Nonce;
use countersign::request::{Request, Verb};
use countersign::transitions;
use countersign::verdict::{Occupancy, Verdict};
use countersign_app_common::answer;
use countersign_app_common::problem::Problem;
use countersign_app_common::service::{self, Response};
use serde::Serialize;

use crate::context::Context;
use crate::flow::{self, Judged};
use crate::journal;
use crate::store;
use crate::unavailable::Unavailable;

/// Whether a seat was released.
pub(crate) struct Deactivation {
    /// False if the caller held no seat, which is not an error.
    pub(crate) deactivated: bool,
    license_id: LicenseId,
    /// The seats after the change.
    pub(crate) seats: Option<Occupancy>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    deactivated: bool,
    license_id: &'a LicenseId,
    #[serde(skip_serializing_if = "Option::is_none")]
    seats: Option<Occupancy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a Nonce>,
}

/// `POST /api/v1/deactivate`
pub(crate) fn post(http: &service::Request) -> Result<Response, Problem> {
    let (request, mut context) = flow::begin(Verb::Deactivate, http)?;
    let done = deactivate(&request, &mut context).map(|done| match &done {
        Some(done) => answer::json(200, &Answer::new(done, &request)),
        None => Judged::without_license(&request).to_response(&request),
    });
    Ok(flow::finish(done, &context))
}

impl<'a> Answer<'a> {
    fn new(done: &'a Deactivation, request: &'a Request) -> Self {
        let Deactivation { deactivated, license_id, seats } = done;
        Self { deactivated: *deactivated, license_id, seats: *seats, nonce: request.nonce() }
    }
}

/// Two reads, and a write if there was a seat to release. `None` if no licence has the key.
pub(crate) fn deactivate(request: &Request, context: &mut Context) -> Result<Option<Deactivation>, Unavailable> {
    let done = release(request, context);
    let code = done.as_ref().map(|done| match done {
        Some(Deactivation { deactivated: true, .. }) => "DEACTIVATED",
        Some(_) => "NOT_ACTIVATED",
        None => Verdict::without_license(request).code().as_str(),
    });
    journal::note("deactivation", code, context);
    done
}

fn release(request: &Request, context: &mut Context) -> Result<Option<Deactivation>, Unavailable> {
    let Some(license) = store::license(request, context)? else { return Ok(None) };
    let case = Case::new(&license, request);
    let (deactivated, seats) = store::change(&license.id, context, |state, now| {
        let deactivated = transitions::deactivate(&case, state, now);
        (deactivated, occupancy(&license, state, now))
    })?;
    Ok(Some(Deactivation { deactivated, license_id: license.id, seats }))
}
