//! Whether what clients were told can have happened in one order: linearizability (Herlihy and Wing, 1990), by the search of Wing and
//! Gong (1993) that remembers where it has been (Lowe, 2017).
//!
//! An own one, as the libraries at hand take no operation whose answer never came, and such there are: a request that was answered by 503 may
//! have been carried out or not.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::Instant;

/// One call of a client.
#[derive(Clone, Debug)]
pub struct Call<O, A> {
    /// What was asked.
    pub operation: O,
    /// Before the request was sent.
    pub invoked: Instant,
    /// When the answer was there, and what it was; none where it is not known whether the operation was carried out.
    pub returned: Option<(Instant, A)>,
}

/// Whether there is an order of all calls, each somewhere between its beginning and its end, in which `apply`, from the state `start` on,
/// gives the answers that were given. A call without an answer may stand anywhere after its beginning, or nowhere.
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
