//! Things that are kept for reuse, the last used first: its memory is the most likely to be in a cache.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A bounded stack, shared by threads. Its lock is held for a push or a pop, never over a call.
#[derive(Debug)]
pub(crate) struct Idle<T> {
    items: Mutex<Vec<T>>,
    capacity: usize,
}

impl<T> Idle<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { items: Mutex::new(Vec::with_capacity(capacity)), capacity }
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.lock().pop()
    }

    /// Keeps the item, or drops it where enough are kept.
    pub(crate) fn put(&self, item: T) {
        let mut items = self.lock();
        if items.len() < self.capacity {
            items.push(item);
        } else {
            drop(items);
            drop(item);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
