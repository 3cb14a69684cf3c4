//! Slows down tokens that guess at keys and ids of other products.
//!
//! Keys and ids are unique over all products, so a token that is bound to some of them learns from
//! a refusal that a key or an id is, or was, somebody's. It gets the same words whatever the reason
//! ([`UNUSABLE`]), and has to wait after a few of them.

use crate::ask::Ask;
use crate::auth::throttle;
use crate::wire::problem::{self, Problem, UNUSABLE};

/// The problem for a key or an id that cannot be used: the true one, or, for a token that is bound
/// to products, the one that is the same for all reasons.
pub(crate) fn refuse(ask: &Ask<'_>, problem: impl Into<Problem>) -> Problem {
    if ask.caller.is_scoped() { UNUSABLE } else { problem.into() }
}

/// Makes an attempt that may name keys or ids, and counts those that could not be used. `attempt`
/// returns their number too. While the token has to wait, no attempt is made.
pub(crate) fn watch<T>(ask: &Ask<'_>, attempt: impl FnOnce() -> (Result<T, Problem>, u32)) -> Result<T, Problem> {
    if !ask.caller.is_scoped() {
        return attempt().0;
    }
    let token = &ask.caller.id;
    if let Some(seconds) = throttle::wait_of(token, ask.now)? {
        return Err(problem::too_many_guesses(seconds));
    }
    let (answer, refused) = attempt();
    let refused = refused + u32::from(matches!(&answer, Err(problem) if problem.code == UNUSABLE.code));
    if refused > 0 {
        throttle::add_failures(token, refused, ask.now)?;
    }
    answer
}
