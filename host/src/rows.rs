//! Rows that were read, kept until someone writes.

use std::collections::HashMap;
use std::mem;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use crate::bindings::store::Entry;
use crate::files::State;
use crate::limits::{MAX_ROW_BYTES, ROW_OVERHEAD};

/// What the database has under a key.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) entry: Entry,
    /// Seconds since 1970-01-01T00:00:00Z; `None`: never.
    pub(crate) expires: Option<i64>,
}

/// Rows by key, in bounded memory; that there is none is kept too. All are of one state of the database: that in which nobody has
/// written them since they were read.
///
/// They are forgotten by halves, the half that was read longer ago. One that is still asked for is read once more then, which is cheaper
/// than noting at each hit that it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Rows(RwLock<Halves>);

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<Box<str>, Kept>,
    young_bytes: usize,
    old: HashMap<Box<str>, Kept>,
    /// What the rows of this `age` are of.
    state: Option<State>,
    age: u64,
    /// Between [`Rows::begin`] and [`Rows::end`].
    is_committing: bool,
}

#[derive(Debug)]
struct Kept {
    age: u64,
    row: Option<Row>,
}

impl Row {
    pub(crate) fn is_there(&self, now: i64) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

impl Rows {
    /// What is under the key in this state, or `None` if nobody has looked.
    pub(crate) fn get(&self, key: &str, state: State, now: i64) -> Option<Option<Entry>> {
        let halves = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let kept = halves.young.get(key).or_else(|| halves.old.get(key))?;
        let is_valid = kept.age == halves.age && halves.state == Some(state);
        is_valid.then(|| kept.row.as_ref().filter(|row| row.is_there(now)).map(|row| row.entry.clone()))
    }

    /// Keeps what was found. `state` is from before it was read: what is there now may be newer, and is never older.
    pub(crate) fn keep(&self, key: &str, state: State, row: Option<Row>) {
        let mut forgotten = HashMap::new();
        let mut halves = self.lock();
        if halves.state != Some(state) {
            if halves.is_committing {
                return;
            }
            halves.state = Some(state);
            halves.age += 1;
        }
        let kept = Kept { age: halves.age, row };
        let bytes = kept.bytes(key);
        if halves.young_bytes + bytes > MAX_ROW_BYTES / 2 {
            halves.young_bytes = 0;
            forgotten = mem::take(&mut halves.young);
            mem::swap(&mut forgotten, &mut halves.old);
        }
        halves.young_bytes += bytes;
        if let Some(before) = halves.young.insert(key.into(), kept) {
            halves.young_bytes -= before.bytes(key);
        }
        drop(halves);
        // Freeing them takes a while, in which others may read.
        drop(forgotten);
    }

    /// This process is about to commit, and no other can: rows of the state after it wait for [`Rows::end`].
    pub(crate) fn begin(&self) {
        self.lock().is_committing = true;
    }

    /// The commit is over. If nothing but it lies between the two states, all rows but those that it wrote are as valid as before.
    pub(crate) fn end<'a>(&self, states: Option<(State, State)>, written: impl Iterator<Item = &'a str>) {
        let mut halves = self.lock();
        halves.is_committing = false;
        let Some((before, after)) = states.filter(|(before, after)| after.is_next_to(before)) else { return };
        if halves.state != Some(before) {
            return;
        }
        for key in written {
            if let Some(row) = halves.young.remove(key) {
                halves.young_bytes -= row.bytes(key);
            }
            halves.old.remove(key);
        }
        halves.state = Some(after);
    }

    fn lock(&self) -> RwLockWriteGuard<'_, Halves> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn bytes(&self, key: &str) -> usize {
        key.len() + self.row.as_ref().map_or(0, |row| row.entry.value.len()) + ROW_OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: State = State::of(1);
    const NEXT: State = State::of(2);
    const THERE: State = State::of(3);

    fn row(size: usize, expires: Option<i64>) -> Option<Row> {
        Some(Row { entry: Entry { value: vec![0; size], version: 1 }, expires })
    }

    fn finds(rows: &Rows, key: &str, state: State) -> Option<bool> {
        rows.get(key, state, 100).map(|entry| entry.is_some())
    }

    #[test]
    fn a_row_is_the_answer_in_its_state_only() {
        let rows = Rows::default();
        assert_eq!(finds(&rows, "a", HERE), None);
        rows.keep("a", HERE, row(1, None));
        rows.keep("b", HERE, None);
        assert_eq!((finds(&rows, "a", HERE), finds(&rows, "b", HERE)), (Some(true), Some(false)));
        assert_eq!((finds(&rows, "a", THERE), finds(&rows, "b", THERE)), (None, None));
        rows.keep("a", THERE, None);
        assert_eq!((finds(&rows, "a", HERE), finds(&rows, "a", THERE)), (None, Some(false)));
        rows.keep("b", HERE, None);
        assert_eq!(finds(&rows, "a", HERE), None, "what was another state's before is not of this one now");
    }

    #[test]
    fn a_commit_leaves_valid_what_it_did_not_write() {
        let commit = |between: &dyn Fn(&Rows), after| {
            let rows = Rows::default();
            rows.keep("a", HERE, row(1, None));
            rows.keep("b", HERE, row(1, None));
            rows.begin();
            between(&rows);
            rows.end(Some((HERE, after)), ["a"].into_iter());
            (finds(&rows, "a", after), finds(&rows, "b", after))
        };
        assert_eq!(commit(&|_| (), NEXT), (None, Some(true)));
        assert_eq!(commit(&|_| (), THERE), (None, None), "another process has written too");
        assert_eq!(commit(&|rows| rows.keep("a", NEXT, None), NEXT), (None, Some(true)));
        assert_eq!(commit(&|rows| rows.keep("a", HERE, None), NEXT), (None, Some(true)));

        let rows = Rows::default();
        rows.begin();
        rows.end(Some((HERE, NEXT)), ["a"].into_iter());
        rows.keep("a", NEXT, None);
        assert_eq!(finds(&rows, "a", NEXT), Some(false));
        rows.keep("a", HERE, row(1, None));
        assert_eq!(finds(&rows, "a", NEXT), None, "it was read before, and kept late");
    }

    #[test]
    fn an_expired_row_is_not_there() {
        let rows = Rows::default();
        rows.keep("past", HERE, row(1, Some(100)));
        rows.keep("future", HERE, row(1, Some(101)));
        assert_eq!((finds(&rows, "past", HERE), finds(&rows, "future", HERE)), (Some(false), Some(true)));
    }

    #[test]
    fn memory_is_bounded() {
        const SIZE: usize = 60_000;
        let rows = Rows::default();
        for number in 0..2_000 {
            rows.keep(&format!("k{number}"), HERE, row(SIZE, None));
            rows.keep("again", HERE, row(SIZE, None));
        }
        let kept = (0..2_000).filter(|number| finds(&rows, &format!("k{number}"), HERE).is_some()).count();
        assert!((MAX_ROW_BYTES / SIZE / 3..=MAX_ROW_BYTES / SIZE).contains(&kept), "{kept}");
        assert_eq!(finds(&rows, "k1999", HERE), Some(true));
    }
}
