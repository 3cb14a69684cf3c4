//! Rows that were read, cached until somebody writes.
//!
//! # Design decisions
//! - All valid rows are of one [`Revision`] of the database. When it changes they all become
//!   invalid at once, except that a commit of this process invalidates only the rows that it wrote.
//! - Rows are evicted by halves, the older half first. A row that is still in use is then read once
//!   more, which is cheaper than recording each hit.

use std::collections::HashMap;
use std::mem;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use crate::bindings::store::Entry;
use crate::imports::sqlite_file::Revision;
use crate::limits::{MAX_ROW_BYTES, ROW_OVERHEAD};

/// What the database has under a key, expired or not.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) entry: Entry,
    /// Seconds since 1970-01-01T00:00:00Z; `None`: never.
    pub(super) expires: Option<i64>,
}

/// Rows by key, in bounded memory. That a key has no row is cached too.
#[derive(Debug, Default)]
pub(super) struct Cache(RwLock<Halves>);

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<Box<str>, Slot>,
    young_bytes: usize,
    old: HashMap<Box<str>, Slot>,
    /// The revision of all rows of this `era`.
    revision: Option<Revision>,
    /// Counts the times that all rows became invalid.
    era: u64,
    /// Between [`Cache::begin_commit`] and [`Cache::end_commit`].
    is_committing: bool,
}

#[derive(Debug)]
struct Slot {
    era: u64,
    row: Option<Row>,
}

impl Row {
    pub(super) fn is_live(&self, now: i64) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

impl Cache {
    /// The entry under the key in this revision; `None` if it is not cached.
    pub(super) fn get(&self, key: &str, revision: Revision, now: i64) -> Option<Option<Entry>> {
        let halves = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let slot = halves.young.get(key).or_else(|| halves.old.get(key))?;
        let is_valid = slot.era == halves.era && halves.revision == Some(revision);
        is_valid.then(|| slot.row.as_ref().filter(|row| row.is_live(now)).map(|row| row.entry.clone()))
    }

    /// Caches what was read. `revision` was taken before the read, so the row may be newer than it,
    /// and is never older.
    pub(super) fn insert(&self, key: &str, revision: Revision, row: Option<Row>) {
        let mut evicted = HashMap::new();
        let mut halves = self.lock();
        if halves.revision != Some(revision) {
            if halves.is_committing {
                return;
            }
            halves.revision = Some(revision);
            halves.era += 1;
        }
        let slot = Slot { era: halves.era, row };
        let bytes = slot.bytes(key);
        if halves.young_bytes + bytes > MAX_ROW_BYTES / 2 {
            halves.young_bytes = 0;
            evicted = mem::take(&mut halves.young);
            mem::swap(&mut evicted, &mut halves.old);
        }
        halves.young_bytes += bytes;
        if let Some(before) = halves.young.insert(key.into(), slot) {
            halves.young_bytes -= before.bytes(key);
        }
        drop(halves);
        // Freeing the rows takes a while, in which other threads may read.
        drop(evicted);
    }

    /// This process is about to commit, and no other can. Until [`Cache::end_commit`] no rows of a
    /// new revision are cached.
    pub(super) fn begin_commit(&self) {
        self.lock().is_committing = true;
    }

    /// The commit has ended. If it is all that lies between the two revisions, all rows stay valid
    /// except those that it wrote.
    pub(super) fn end_commit<'a>(
        &self,
        revisions: Option<(Revision, Revision)>,
        written: impl Iterator<Item = &'a str>,
    ) {
        let mut halves = self.lock();
        halves.is_committing = false;
        let Some((before, after)) = revisions.filter(|(before, after)| after.follows(before)) else { return };
        if halves.revision != Some(before) {
            return;
        }
        for key in written {
            if let Some(row) = halves.young.remove(key) {
                halves.young_bytes -= row.bytes(key);
            }
            halves.old.remove(key);
        }
        halves.revision = Some(after);
    }

    fn lock(&self) -> RwLockWriteGuard<'_, Halves> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn bytes(&self, key: &str) -> usize {
        key.len() + self.row.as_ref().map_or(0, |row| row.entry.value.len()) + ROW_OVERHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Revision = Revision::of(1);
    const SECOND: Revision = Revision::of(2);
    const THIRD: Revision = Revision::of(3);

    fn row(size: usize, expires: Option<i64>) -> Option<Row> {
        Some(Row { entry: Entry { value: vec![0; size], version: 1 }, expires })
    }

    fn finds(cache: &Cache, key: &str, revision: Revision) -> Option<bool> {
        cache.get(key, revision, 100).map(|entry| entry.is_some())
    }

    #[test]
    fn a_row_answers_in_its_own_revision_only() {
        let cache = Cache::default();
        assert_eq!(finds(&cache, "a", FIRST), None);
        cache.insert("a", FIRST, row(1, None));
        cache.insert("b", FIRST, None);
        assert_eq!((finds(&cache, "a", FIRST), finds(&cache, "b", FIRST)), (Some(true), Some(false)));
        assert_eq!((finds(&cache, "a", THIRD), finds(&cache, "b", THIRD)), (None, None));
        cache.insert("a", THIRD, None);
        assert_eq!((finds(&cache, "a", FIRST), finds(&cache, "a", THIRD)), (None, Some(false)));
        cache.insert("b", FIRST, None);
        assert_eq!(finds(&cache, "a", FIRST), None, "a row of an earlier era is not valid again");
    }

    #[test]
    fn a_commit_invalidates_only_the_rows_that_it_wrote() {
        let commit = |between: &dyn Fn(&Cache), after| {
            let cache = Cache::default();
            cache.insert("a", FIRST, row(1, None));
            cache.insert("b", FIRST, row(1, None));
            cache.begin_commit();
            between(&cache);
            cache.end_commit(Some((FIRST, after)), ["a"].into_iter());
            (finds(&cache, "a", after), finds(&cache, "b", after))
        };
        assert_eq!(commit(&|_| (), SECOND), (None, Some(true)));
        assert_eq!(commit(&|_| (), THIRD), (None, None), "another process has written too");
        assert_eq!(commit(&|cache| cache.insert("a", SECOND, None), SECOND), (None, Some(true)));
        assert_eq!(commit(&|cache| cache.insert("a", FIRST, None), SECOND), (None, Some(true)));

        let cache = Cache::default();
        cache.begin_commit();
        cache.end_commit(Some((FIRST, SECOND)), ["a"].into_iter());
        cache.insert("a", SECOND, None);
        assert_eq!(finds(&cache, "a", SECOND), Some(false));
        cache.insert("a", FIRST, row(1, None));
        assert_eq!(finds(&cache, "a", SECOND), None, "it was read before the commit and cached after it");
    }

    #[test]
    fn an_expired_row_is_absent() {
        let cache = Cache::default();
        cache.insert("past", FIRST, row(1, Some(100)));
        cache.insert("future", FIRST, row(1, Some(101)));
        assert_eq!((finds(&cache, "past", FIRST), finds(&cache, "future", FIRST)), (Some(false), Some(true)));
    }

    #[test]
    fn memory_is_bounded() {
        const SIZE: usize = 60_000;
        let cache = Cache::default();
        for number in 0..2_000 {
            cache.insert(&format!("k{number}"), FIRST, row(SIZE, None));
            cache.insert("again", FIRST, row(SIZE, None));
        }
        let cached = (0..2_000).filter(|number| finds(&cache, &format!("k{number}"), FIRST).is_some()).count();
        assert!((MAX_ROW_BYTES / SIZE / 3..=MAX_ROW_BYTES / SIZE).contains(&cached), "{cached}");
        assert_eq!(finds(&cache, "k1999", FIRST), Some(true));
    }
}
