//! The operator's settings that are numbers.

use countersign_app_common::settings;

use crate::limits::MAX_RETENTION;
use crate::wire::problem::Problem;

/// How long something is kept, in the setting's own unit: a whole number, 1 or more. Some hosts
/// cannot leave a setting out, so an empty one counts as absent.
pub(crate) fn kept(name: &str) -> Result<Option<u32>, Problem> {
    let invalid = || Problem::unavailable("settings");
    match settings::get(name).map_err(|_| invalid())? {
        Some(value) if !value.is_empty() => {
            let number = value.parse().ok().filter(|number| (1..=MAX_RETENTION).contains(number));
            number.map(Some).ok_or_else(invalid)
        }
        _ => Ok(None),
    }
}
