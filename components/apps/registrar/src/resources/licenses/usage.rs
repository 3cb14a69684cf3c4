//! Sets how much of an allowance was used: to 0 to begin again.

use countersign::limits::MAX_COUNTED;
use countersign::name::Label;
use countersign::wish::{Usage, Wish};
use serde_json::json;

use super::{activations, current};
use crate::ask::Ask;
use crate::host::random::random;
use crate::host::store;
use crate::wire::Response;
use crate::wire::answer::Answer;
use crate::wire::problem::{Problem, missing, unprocessable};
use crate::write::change::{Change, change};

const ACTION: &str = "license.usage-set";

/// `POST /api/v1/licenses/{id}/usage`
pub(crate) fn post(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let name: Label = fields.parse("allowance")?.ok_or_else(|| missing("allowance"))?;
    let used = fields.integer("used")?.ok_or_else(|| missing("used"))?;
    fields.finish()?;
    if used > MAX_COUNTED {
        return Err(unprocessable("used", format_args!("must be at most {MAX_COUNTED}.")));
    }
    change(ask, &mut || {
        let license = current(ask)?.record;
        let allowance = license.allowances.iter().find(|allowance| allowance.name == name);
        let allowance = allowance
            .ok_or_else(|| unprocessable("allowance", "names an allowance that the licence does not have."))?;
        let mut state = store::state(&license.id)?;
        let before = activations::usage(&license, allowance, &state, ask.now);
        let wish = Wish::Usage(Usage {
            id: random(),
            allowance: name.to_string(),
            used,
            period: state.used(&license, allowance, ask.now).period.unix(),
            kept: license.allowances.iter().map(|allowance| allowance.name.to_string()).collect(),
        });
        // What the state will have, if nothing else changes it meanwhile.
        wish.apply(&mut state, ask.now).map_err(|_| Problem::unavailable("corrupt-state"))?;
        let after = activations::usage(&license, allowance, &state, ask.now);
        let mut change = Change::of_license(&license.id);
        if after != before {
            change.wish(&license.id, &wish);
            change.event(ACTION, license.id.as_str(), Some(before), Some(after.clone()));
        }
        Ok((change, Answer::ok(json!({ "usage": after }), None)))
    })
}
