//! Releases a seat.

use countersign::decide::{Case, occupancy};
use countersign::field::FieldError;
use countersign::id::LicenseId;
use countersign::nonce::Nonce;
use countersign::request::{Request, Verb};
use countersign::transitions;
use countersign::verdict::Occupancy;
use countersign_app_common::answer;
use countersign_app_common::problem::Problem;
use countersign_app_common::service::{self, Response};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::flow::{self, Judged};
use crate::journal;
use crate::store;

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
        Ok(done) => answer::json(200, &Answer::new(done, &request)),
        Err(judged) => judged.to_response(&request),
    });
    Ok(flow::finish(done, &context))
}

impl<'a> Answer<'a> {
    fn new(done: &'a Deactivation, request: &'a Request) -> Self {
        let Deactivation { deactivated, license_id, seats } = done;
        Self { deactivated: *deactivated, license_id, seats: *seats, nonce: request.nonce() }
    }
}

/// Two reads, and a write if there was a seat to release. The verdict in place of an outcome if no
/// licence has the key, or a revoked one.
pub(crate) fn deactivate(request: &Request, context: &mut Context) -> Result<Result<Deactivation, Judged>, Failure> {
    let is_released = |done: &Result<Deactivation, Judged>| match done {
        Ok(done) => done.deactivated,
        Err(judged) => judged.holds(),
    };
    let done = flow::confirm(context, is_released, |context| release(request, context));
    let code = match &done {
        Ok(Ok(Deactivation { deactivated: true, .. })) => Ok("DEACTIVATED"),
        Ok(Ok(_)) => Ok("NOT_ACTIVATED"),
        Ok(Err(judged)) => Ok(judged.code()),
        Err(failure) => failure.code(),
    };
    journal::note("deactivation", code, context);
    done
}

fn release(request: &Request, context: &mut Context) -> Result<Result<Deactivation, Judged>, Failure> {
    let license = match flow::find(request, context)? {
        Ok(license) => license,
        Err(judged) => return Ok(Err(judged)),
    };
    let case = Case::new(&license, request);
    if request.activation().is_some() && !case.manages_all_seats() {
        let detail = "cannot be used, as holders of this licence release only their own seat. Send a `fingerprint`, \
                      `user` or `domain`.";
        return Err(FieldError::new("activation", detail).into());
    }
    let (deactivated, seats) = store::change(&license.id, context, |state, now| {
        let deactivated = transitions::deactivate(&case, state, now);
        (deactivated, occupancy(&license, state, now))
    })?;
    Ok(Ok(Deactivation { deactivated, license_id: license.id, seats }))
}
