//! What near keeps of an entry of the origin: when it was confirmed, its version there, and its
//! value.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format: 1 |
//! | 8 | when the origin confirmed it: seconds since 1970-01-01T00:00:00Z |
//! | 8 | its version at the origin |
//! | 1 | 1, or 0 for a key that does not exist |
//! | n | its value |
//!
//! Numbers are big-endian. Anything else in near counts as nothing remembered: the origin has the
//! truth.

use countersign::generation;

use crate::bindings::countersign::license::near::{self, Error, Expectation, Freshness, Outcome};
use crate::bindings::exports::countersign::license::store::Entry;
use crate::planted;

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 18;

/// How often a write to near is tried while others write the same key.
const ATTEMPTS: u32 = 4;

/// An entry of the origin as it was when it was last confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Seconds since 1970.
    pub(crate) confirmed_at: u64,
    /// `None` if the key did not exist.
    pub(crate) entry: Option<Entry>,
}

/// A memory, and its own version in near.
pub(crate) struct Found {
    pub(crate) memory: Memory,
    version: u64,
}

/// Looks the key up in near. A near that fails remembers nothing.
pub(crate) fn recall(key: &str) -> Option<Found> {
    let Entry { value, version } = near::get(key, Freshness::Usual).ok()?.entry?;
    Some(Found { version, memory: Memory::from_bytes(value)? })
}

/// Keeps what the origin answered, unless near has a newer generation. Returns what near has then.
///
/// # Errors
///
/// If near cannot keep it. What it had is deleted, if that can be done, because it is older.
pub(crate) fn keep(key: &str, answered: Memory, before: Option<Found>, ttl: Option<u32>) -> Result<Memory, Error> {
    let mut expect = Expectation::Absent;
    let mut before = before;
    for _ in 0..ATTEMPTS {
        if let Some(Found { memory, version }) = before {
            if memory.is_newer(&answered, key) {
                return Ok(memory);
            }
            expect = Expectation::Matches(version);
        }
        match near::put(key, &answered.to_bytes(), expect, ttl) {
            Ok(Outcome::Stored(_)) => return Ok(answered),
            Ok(Outcome::Conflict(present)) => {
                // Anything else than a memory is overwritten.
                expect = present.as_ref().map_or(Expectation::Absent, |entry| Expectation::Matches(entry.version));
                before = present
                    .and_then(|Entry { value, version }| Some(Found { version, memory: Memory::from_bytes(value)? }));
            }
            Err(error) => {
                let _ = near::delete(key);
                return Err(error);
            }
        }
    }
    Ok(answered)
}

impl Memory {
    /// Whether `other` is an earlier state of the same record. A record that the origin does not
    /// have any more is one too: licences leave a record when they are deleted.
    fn is_newer(&self, other: &Self, key: &str) -> bool {
        if planted::is("older-replaces-newer") {
            return false;
        }
        let generation = |memory: &Self| memory.entry.as_ref().map(|entry| generation::of(key, &entry.value));
        match (generation(self), generation(other)) {
            (Some(Some(own)), Some(Some(others))) => own > others,
            (Some(Some(_)), None) => true,
            _ => false,
        }
    }

    /// Seconds since it was confirmed. `None` if a clock went back, and nobody knows.
    pub(crate) fn age(&self, now: u64) -> Option<u32> {
        let seconds = now.checked_sub(self.confirmed_at)?;
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    fn from_bytes(mut bytes: Vec<u8>) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        let (confirmed_at, rest) = rest.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (confirmed_at, version) = (u64::from_be_bytes(*confirmed_at), u64::from_be_bytes(*version));
        let exists = match (*format, rest.first()?) {
            (FORMAT, 1) => true,
            (FORMAT, 0) => false,
            _ => return None,
        };
        let entry = exists.then(|| {
            bytes.drain(..HEAD_BYTES);
            Entry { value: bytes, version }
        });
        Some(Self { confirmed_at, entry })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let (version, value) = self.entry.as_ref().map_or((0, &[][..]), |entry| (entry.version, &entry.value));
        let mut bytes = Vec::with_capacity(HEAD_BYTES + value.len());
        bytes.push(FORMAT);
        bytes.extend(self.confirmed_at.to_be_bytes());
        bytes.extend(version.to_be_bytes());
        bytes.push(u8::from(self.entry.is_some()));
        bytes.extend(value);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(generation: u64) -> Memory {
        let value = format!(r#"{{"format":1,"generation":{generation}}}"#).into_bytes();
        Memory { confirmed_at: 1_800_000_000, entry: Some(Entry { version: 7, value }) }
    }

    #[test]
    fn a_memory_is_read_as_it_was_written() {
        let missing = Memory { confirmed_at: 1, entry: None };
        for memory in [memory(3), missing] {
            let read = Memory::from_bytes(memory.to_bytes()).unwrap();
            assert_eq!((read.to_bytes(), read.entry.is_some()), (memory.to_bytes(), memory.entry.is_some()));
        }
    }

    #[test]
    fn what_tiered_did_not_write_is_nothing_remembered() {
        let written = memory(3).to_bytes();
        let of_another_format = [&[2], &written[1..]].concat();
        let neither_there_nor_missing = [&written[..17], &[2], &written[18..]].concat();
        for bytes in [Vec::new(), written[..HEAD_BYTES - 1].to_vec(), of_another_format, neither_there_nor_missing] {
            assert!(Memory::from_bytes(bytes).is_none());
        }
    }

    #[test]
    fn a_lower_generation_and_a_lost_record_are_older() {
        let missing = Memory { confirmed_at: 1_900_000_000, entry: None };
        assert!(memory(3).is_newer(&memory(2), "license:a") && memory(3).is_newer(&missing, "license:a"));
        for (one, other) in [(3, 3), (2, 3)] {
            assert!(!memory(one).is_newer(&memory(other), "license:a"));
        }
        assert!(!missing.is_newer(&memory(1), "license:a"));
        // An operation has no generation, and its entry may expire at the origin.
        assert!(!memory(3).is_newer(&missing, "operation:a"));
    }

    #[test]
    fn an_age_is_unknown_if_a_clock_went_back() {
        let ages = [-1, 0, 1, 60].map(|later| memory(1).age(1_800_000_000_u64.wrapping_add_signed(later)));
        assert_eq!(ages, [None, Some(0), Some(1), Some(60)]);
    }
}
