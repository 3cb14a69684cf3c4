//! A pool of things to reuse, most recently used first: their memory is the likeliest to be in a
//! processor cache.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A bounded stack that threads share. Its lock is held for a push or a pop, never during a call.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    items: Mutex<Vec<T>>,
    capacity: usize,
}

impl<T> Pool<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { items: Mutex::new(Vec::with_capacity(capacity)), capacity }
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.lock().pop()
    }

    /// Adds the item, or drops it if the pool is full.
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
