//! Whether a concurrent history is linearizable (Herlihy and Wing, 1990).
//!
//! The search is that of Wing and Gong (1993) with a set of visited states (Lowe, 2017). The
//! libraries at hand have no operations without an answer, and this needs them: a request answered
//! by 503 may have been executed or not.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::Instant;

/// One call of a client.
#[derive(Clone, Debug)]
pub struct Call<O, A> {
    /// The operation called.
    pub operation: O,
    /// The time before the request was sent.
    pub invoked: Instant,
    /// The time of the answer, and the answer. `None` if the operation may or may not have
    /// happened.
    pub returned: Option<(Instant, A)>,
}

/// Whether the calls have an order, each between its invocation and its return, in which `apply`,
/// starting from `start`, gives the recorded answers. A call without an answer may be at any place
/// after its invocation, or at none.
pub fn is_linearizable<S, O, A>(start: &S, history: &[Call<O, A>], apply: impl Fn(&mut S, &O) -> A) -> bool
where
    S: Clone + Eq + Hash,
    A: PartialEq,
{
    let mut seen = HashSet::new();
    let mut open = vec![(vec![false; history.len()], start.clone())];
    while let Some((placed, state)) = open.pop() {
        let rest = || history.iter().enumerate().filter(|(at, _)| !placed[*at]);
        let Some(earliest_end) = rest().filter_map(|(_, call)| Some(call.returned.as_ref()?.0)).min() else {
            return true;
        };
        for (at, call) in rest().filter(|(_, call)| call.invoked <= earliest_end) {
            let mut next = state.clone();
            let answer = apply(&mut next, &call.operation);
            if call.returned.as_ref().is_none_or(|(_, given)| *given == answer) {
                let mut placed = placed.clone();
                placed[at] = true;
                if seen.insert((placed.clone(), next.clone())) {
                    open.push((placed, next));
                }
            }
        }
    }
    false
}
