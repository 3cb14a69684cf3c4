//! Gives licences of an older version the terms of this one, by which a search finds them. Until
//! then the search finds them as that version did.

use super::issued::IssuedLicense;
use super::search::queries;
use crate::bindings::countersign::license::sql;
use crate::limits::INDEX_AT_ONCE;
use crate::sql::db::{self, integer};
use crate::wire::problem::Problem;

/// Licences that are read at a time: the largest take some megabytes together.
const READ_AT_ONCE: u32 = 25;

/// Indexes a few licences. One that changes meanwhile is left to the next step, if it still needs
/// it.
pub(crate) fn step() -> Result<(), Problem> {
    for _ in 0..INDEX_AT_ONCE / READ_AT_ONCE {
        let rows = db::query(queries::TO_INDEX, vec![integer(READ_AT_ONCE)])?;
        let mut statements = Vec::new();
        for row in &rows {
            statements.extend(IssuedLicense::from_row(row)?.index());
        }
        if statements.is_empty() {
            break;
        }
        sql::batch(&statements).map_err(db::problem)?;
    }
    Ok(())
}
