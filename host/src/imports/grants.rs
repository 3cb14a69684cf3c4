//! What each app may do that another may not.

use std::sync::Arc;

use countersign::store_keys::{WRITTEN_BY_REGISTRAR, WRITTEN_BY_VALIDATOR};

use super::sql::Sql;
use crate::bindings::store::Error;
use crate::edge::Origin;

/// Every prefix of store keys that not every app may write.
const OWNED: [&[&str]; 2] = [&WRITTEN_BY_REGISTRAR, &WRITTEN_BY_VALIDATOR];

/// What one app may do.
pub struct Grants {
    /// The owned prefixes that it may write. It may also write keys that no app owns, and read all
    /// keys.
    pub(super) writes: &'static [&'static str],
    /// Whether it may read the settings that are secrets.
    pub(super) secrets: bool,
    /// Whether it gets random bits.
    pub(super) random: bool,
    /// Its database. Without one the interface `sql` is not linked.
    pub(super) sql: Option<Arc<Sql>>,
    /// Its origin. Without one the interfaces `near` and `fetch` are not linked.
    pub(crate) origin: Option<Arc<Origin>>,
}

impl Grants {
    /// The validator's, which cannot issue or change a licence.
    pub fn validator() -> Self {
        Self { writes: &WRITTEN_BY_VALIDATOR, secrets: false, random: false, sql: None, origin: None }
    }

    /// The same for an edge, which also reaches its origin, and no other address.
    pub fn edge(origin: Arc<Origin>) -> Self {
        Self { origin: Some(origin), ..Self::validator() }
    }

    /// The registrar's, which writes a licence's usage state only for what its vendor wishes.
    pub fn registrar(sql: Arc<Sql>) -> Self {
        Self { writes: &WRITTEN_BY_REGISTRAR, secrets: true, random: true, sql: Some(sql), origin: None }
    }

    pub(super) fn check_write(&self, key: &str) -> Result<(), Error> {
        let is_under = |prefixes: &[&str]| prefixes.iter().any(|prefix| key.starts_with(prefix));
        let is_granted = is_under(self.writes) || !OWNED.into_iter().any(is_under);
        if is_granted { Ok(()) } else { Err(Error::AccessDenied) }
    }
}

#[cfg(test)]
mod tests {
    use countersign::store_keys::{LICENSE, OPERATION, STATE};

    use super::*;

    #[test]
    fn an_app_writes_its_own_keys_and_those_that_no_app_owns() {
        let validator = Grants::validator();
        let registrar = Grants { writes: &WRITTEN_BY_REGISTRAR, ..Grants::validator() };
        let may_write = |grants: &Grants, prefix| grants.check_write(&format!("{prefix}0123")).is_ok();
        assert_eq!(
            [LICENSE, STATE, OPERATION, "other:"].map(|key| may_write(&validator, key)),
            [false, true, true, true]
        );
        assert_eq!(
            [LICENSE, STATE, OPERATION, "other:"].map(|key| may_write(&registrar, key)),
            [true, true, false, true]
        );
    }
}
