//! Deletes a licence. Its key stays known, as one that was revoked.

use super::current;
use crate::ask::Ask;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::Problem;
use crate::write::change::{Change, change};

/// `DELETE /api/v1/licenses/{id}`
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Response, Problem> {
    change(ask, &mut || {
        let mut change = Change::new();
        current(ask)?.delete(&mut change, "license.deleted")?;
        Ok((change, Answer::no_content()))
    })
}
