//! Callers who are known: those whose token the registrar has accepted.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::{Mutex, PoisonError};

use crate::bindings::service::Header;
use crate::limits::MAX_KNOWN_CALLERS;

/// Hashes of the last tokens that were accepted, under a key that only this process has. They are
/// forgotten by halves, the older half first.
#[derive(Debug, Default)]
pub(super) struct Callers {
    key: RandomState,
    halves: Mutex<Halves>,
}

#[derive(Debug, Default)]
struct Halves {
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl Callers {
    /// Whether the registrar has accepted the token that these headers carry.
    pub(super) fn know(&self, headers: &[Header]) -> bool {
        let Some(hash) = self.hash(headers) else { return false };
        let halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.young.contains(&hash) || halves.old.contains(&hash)
    }

    /// Notes whether the registrar has accepted the token.
    pub(super) fn note(&self, headers: &[Header], is_accepted: bool) {
        let Some(hash) = self.hash(headers) else { return };
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_accepted {
            halves.young.remove(&hash);
            halves.old.remove(&hash);
        } else if !halves.young.contains(&hash) {
            if halves.young.len() >= MAX_KNOWN_CALLERS / 2 {
                halves.old = mem::take(&mut halves.young);
            }
            halves.young.insert(hash);
        }
    }

    fn hash(&self, headers: &[Header]) -> Option<u64> {
        let mut found = headers.iter().filter(|header| header.name == "authorization");
        let header = found.next().filter(|_| found.next().is_none())?;
        Some(self.key.hash_one(&header.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: usize) -> Vec<Header> {
        vec![Header { name: "authorization".into(), value: format!("Bearer {number}").into_bytes() }]
    }

    #[test]
    fn a_caller_is_known_until_the_token_is_refused() {
        let callers = Callers::default();
        assert!(!callers.know(&token(1)) && !callers.know(&[]));
        callers.note(&token(1), true);
        assert!(callers.know(&token(1)) && !callers.know(&token(2)));
        callers.note(&token(1), false);
        assert!(!callers.know(&token(1)));
        callers.note(&[], true);
        assert!(!callers.know(&[]));
    }

    #[test]
    fn memory_is_bounded() {
        let callers = Callers::default();
        for number in 0..3 * MAX_KNOWN_CALLERS {
            callers.note(&token(number), true);
        }
        let known = (0..3 * MAX_KNOWN_CALLERS).filter(|number| callers.know(&token(*number))).count();
        assert!((MAX_KNOWN_CALLERS / 2..=MAX_KNOWN_CALLERS).contains(&known), "{known}");
        assert!(callers.know(&token(3 * MAX_KNOWN_CALLERS - 1)));
    }
}
