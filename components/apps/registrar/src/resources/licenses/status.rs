//! Suspends, resumes and revokes a licence. Doing so twice is not an error.

use countersign::license::Status;

use super::alter;
use crate::ask::Ask;
use crate::wire::Response;
use crate::wire::problem::Problem;

/// `POST /api/v1/licenses/{id}/suspend`
pub(crate) fn suspend(ask: &Ask<'_>) -> Result<Response, Problem> {
    set(ask, Status::Suspended, "license.suspended")
}

/// `POST /api/v1/licenses/{id}/resume`
pub(crate) fn resume(ask: &Ask<'_>) -> Result<Response, Problem> {
    set(ask, Status::Active, "license.resumed")
}

/// `POST /api/v1/licenses/{id}/revoke`, which is final.
pub(crate) fn revoke(ask: &Ask<'_>) -> Result<Response, Problem> {
    set(ask, Status::Revoked, "license.revoked")
}

fn set(ask: &Ask<'_>, status: Status, action: &'static str) -> Result<Response, Problem> {
    ask.optional_fields()?.finish()?;
    alter(ask, action, |issued| {
        issued.record.status = status;
        Ok(())
    })
}
