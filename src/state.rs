//! A licence's usage state: who holds its seats, what was consumed, and when its time began. It is
//! under [`LicenseId::state_key`](crate::id::LicenseId::state_key). The validator writes it, and
//! the registrar for what a vendor [wishes](crate::wish): both by the rules of this crate, and only
//! by compare-and-swap.
//!
//! Seats and allowances share one record, so that one comparison covers them all and a validation
//! reads at most twice. The record is binary, and the largest fits into one value of the store.
//! Numbers are big-endian. Moments are seconds since 1970-01-01T00:00:00Z in two's complement; the
//! lowest number means none.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format: 1 |
//! | 8 | the generation: grows with every write |
//! | 8 | when it was written |
//! | 8 | when the licence's time began |
//! | 2, 1, 1 | the numbers of seats, counters and remembered operations that follow |
//! | for each seat: 1, 8, 8, 8 × n | n (1 to 5), when it was taken, when its lease ends, n hashes of names |
//! | for each counter: 1, n, 8, 8 | n (1 to 64), the allowance's name in n bytes of UTF-8, how much was used, when its period began |
//! | for each operation: 16, 8, 8 | its id, when it was applied, a hash of what it asked for |
//!
//! A record of another format, with counts out of bounds, or of the wrong length is an error.

use crate::{
    hex,
    holder::{Holder, Matching},
    id::LicenseId,
    license::License,
    limits::{
        MAX_ALLOWANCES, MAX_COMPONENTS, MAX_COUNTED, MAX_REMEMBERED, MAX_SEATS, MEMORY_ENTRIES, REMEMBER_SECONDS,
    },
    name::Label,
    store_keys,
    terms::Allowance,
    time::Timestamp,
};

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::cmp::Reverse;

/// A licence's usage state. If the store has none, it is [`State::default`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Grows with every write; 0 before the first.
    pub generation: u64,
    /// When it was last written, by the writer's clock.
    pub written_at: Option<Timestamp>,
    /// When the licence's time began, if not when it was issued.
    pub begun_at: Option<Timestamp>,
    /// The seats in the order in which they were taken; 1,000 at most. One whose lease has ended
    /// stays until another holder takes it.
    pub seats: Vec<Seat>,
    /// One for each allowance that was used; 8 at most.
    pub counters: Vec<Counter>,
    /// The last operations with an idempotency key, oldest first; 64 at most.
    pub applied: Vec<AppliedOperation>,
}

/// A taken seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Who took it.
    pub holder: Holder,
    /// When it was taken.
    pub since: Timestamp,
    /// The first second after its lease; `None` without a lease.
    pub until: Option<Timestamp>,
}

impl Seat {
    /// Whether its lease still runs.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// How much of an allowance was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The allowance's name.
    pub name: Label,
    /// How much was used in the period: at most 2⁵³ - 1.
    pub used: u64,
    /// When the period began.
    pub period: Timestamp,
}

/// What was used of an allowance in one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// How much.
    pub used: u64,
    /// When the period began.
    pub period: Timestamp,
    /// When the next period begins; `None` if there is only one, as before the licence's time
    /// begins if periods are counted from then.
    pub resets_at: Option<Timestamp>,
}

/// An operation that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppliedOperation {
    /// The operation.
    pub operation: Operation,
    /// When it was applied.
    pub at: Timestamp,
}

/// A change of an allowance that has one effect, however often it is requested: its idempotency
/// key, and what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// A hash of the licence's id, the idempotency key, and the holder.
    pub id: [u8; 16],
    /// A hash of what was asked for. The same id with another hash is an error of the caller.
    pub asked: u64,
}

impl Operation {
    /// The key of the entry in the store that remembers the operation: `operation:`, the licence's
    /// id, and one of [`MEMORY_ENTRIES`] numbers in hexadecimal. So a licence has a bounded number
    /// of entries, whatever its holders send.
    pub fn store_key(&self, license: &LicenseId) -> String {
        hex::prefixed(&(store_keys::OPERATION.to_owned() + license.as_str() + ":"), &[self.id[0] % MEMORY_ENTRIES])
    }
}

/// Operations of one entry in the store, oldest first; 64 at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory(Vec<AppliedOperation>);

impl Memory {
    /// The operation of this id, as it was applied.
    pub fn find(&self, operation: &Operation) -> Option<AppliedOperation> {
        self.0.iter().find(|applied| applied.operation.id == operation.id).copied()
    }

    /// Adds an operation, in place of those of its id and those that are no longer remembered, or
    /// of the oldest if there are too many.
    pub fn add(&mut self, added: AppliedOperation) {
        self.0.retain(|applied| applied.operation.id != added.operation.id && applied.is_remembered(added.at));
        if self.0.len() >= MAX_REMEMBERED {
            self.0.remove(0);
        }
        self.0.push(added);
    }

    /// Reads an entry.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the bytes are not 1 to 64 operations.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let count = bytes.len() / APPLIED_BYTES;
        if count > MAX_REMEMBERED {
            return Err(StateError);
        }
        let mut rest = Rest(bytes);
        let operations = rest.list(count.max(1), Rest::applied)?;
        if rest.0.is_empty() { Ok(Self(operations)) } else { Err(StateError) }
    }

    /// Writes an entry, which [`Memory::from_bytes`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().copied().flat_map(AppliedOperation::to_bytes).collect()
    }
}

/// Bytes from the store are not a valid record. Nothing follows about the licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the licence's usage state is corrupt")]
pub struct StateError;

const FORMAT: u8 = 1;
const NONE: i64 = i64::MIN;
const HEAD_BYTES: usize = 1 + 8 + 8 + 8 + 2 + 1 + 1;
const APPLIED_BYTES: usize = 16 + 8 + 8;

impl State {
    /// The index of a holder's seat. If a fingerprint matches several, it is the first whose lease
    /// runs, or else the one whose lease ended last; and of those, one that was taken with just
    /// this fingerprint.
    pub fn find(&self, holder: &Holder, matching: Matching, now: Timestamp) -> Option<usize> {
        let own = self.seats.iter().enumerate().filter(|(_, seat)| seat.holder.is(holder, matching));
        let rank = |seat: &Seat| {
            let lapsed = (!seat.is_live(now)).then_some(Reverse(seat.until));
            (lapsed, seat.holder.activation_id() != holder.activation_id())
        };
        own.min_by_key(|(_, seat)| rank(seat)).map(|(at, _)| at)
    }

    /// What was used of a licence's allowance in the current period. If the clock goes back, a
    /// period that has begun stays the current one: none is counted twice.
    pub fn used(&self, license: &License, allowance: &Allowance, now: Timestamp) -> Used {
        let periods = allowance.period.from(allowance.begins, license.starts_at(self.begun_at));
        let current = periods.start(now);
        let counter = self.counters.iter().find(|counter| counter.name == allowance.name);
        let counter = counter.filter(|counter| counter.period >= current);
        let (used, period) = counter.map_or((0, current), |counter| (counter.used, counter.period));
        Used { used, period, resets_at: periods.end(period) }
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// [`StateError`] if the bytes are not a valid record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let mut rest = Rest(bytes);
        if rest.array()? != [FORMAT] {
            return Err(StateError);
        }
        let (generation, written_at, begun_at) = (rest.number()?, rest.moment()?, rest.moment()?);
        let seats = usize::from(u16::from_be_bytes(rest.array()?));
        let [counters, applied] = rest.array()?.map(usize::from);
        if seats > MAX_SEATS || counters > MAX_ALLOWANCES || applied > MAX_REMEMBERED {
            return Err(StateError);
        }
        let state = Self {
            generation,
            written_at,
            begun_at,
            seats: rest.list(seats, Rest::seat)?,
            counters: rest.list(counters, Rest::counter)?,
            applied: rest.list(applied, Rest::applied)?,
        };
        if rest.0.is_empty() { Ok(state) } else { Err(StateError) }
    }

    /// Writes a record, which [`State::from_bytes`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let seats = self.seats.len() * (1 + 8 + 8 + 8 * MAX_COMPONENTS);
        let mut bytes = Vec::with_capacity(HEAD_BYTES + seats + self.applied.len() * APPLIED_BYTES);
        bytes.push(FORMAT);
        bytes.extend(self.generation.to_be_bytes());
        bytes.extend(moment(self.written_at));
        bytes.extend(moment(self.begun_at));
        bytes.extend((self.seats.len() as u16).to_be_bytes());
        bytes.extend([self.counters.len() as u8, self.applied.len() as u8]);
        for Seat { holder, since, until } in &self.seats {
            bytes.push(holder.hashes().len() as u8);
            bytes.extend(moment(Some(*since)));
            bytes.extend(moment(*until));
            bytes.extend(holder.hashes().iter().flat_map(|hash| hash.to_be_bytes()));
        }
        for Counter { name, used, period } in &self.counters {
            bytes.push(name.as_str().len() as u8);
            bytes.extend(name.as_str().as_bytes());
            bytes.extend(used.to_be_bytes());
            bytes.extend(moment(Some(*period)));
        }
        for applied in &self.applied {
            bytes.extend(applied.to_bytes());
        }
        bytes
    }
}

impl AppliedOperation {
    /// Whether it is still remembered.
    pub fn is_remembered(&self, now: Timestamp) -> bool {
        now < self.at.plus_seconds(REMEMBER_SECONDS)
    }

    fn to_bytes(self) -> [u8; APPLIED_BYTES] {
        let Self { operation: Operation { id, asked }, at } = self;
        let mut bytes = [0; APPLIED_BYTES];
        bytes[..16].copy_from_slice(&id);
        bytes[16..24].copy_from_slice(&moment(Some(at)));
        bytes[24..].copy_from_slice(&asked.to_be_bytes());
        bytes
    }
}

fn moment(moment: Option<Timestamp>) -> [u8; 8] {
    moment.map_or(NONE, Timestamp::unix).to_be_bytes()
}

/// The bytes that are not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], StateError> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(StateError)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(StateError)?;
        self.0 = rest;
        Ok(*array)
    }

    fn number(&mut self) -> Result<u64, StateError> {
        self.array().map(u64::from_be_bytes)
    }

    fn moment(&mut self) -> Result<Option<Timestamp>, StateError> {
        match i64::from_be_bytes(self.array()?) {
            NONE => Ok(None),
            seconds if Timestamp::from_unix(seconds).unix() == seconds => Ok(Some(Timestamp::from_unix(seconds))),
            _ => Err(StateError),
        }
    }

    fn some_moment(&mut self) -> Result<Timestamp, StateError> {
        self.moment()?.ok_or(StateError)
    }

    /// Reads a list. Its count is within bounds, so memory for it is allocated at once.
    fn list<T>(&mut self, count: usize, read: fn(&mut Self) -> Result<T, StateError>) -> Result<Vec<T>, StateError> {
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }

    fn seat(&mut self) -> Result<Seat, StateError> {
        let [names] = self.array()?;
        let (since, until) = (self.some_moment()?, self.moment()?);
        let mut hashes = [0; MAX_COMPONENTS];
        let hashes = hashes.get_mut(..usize::from(names)).ok_or(StateError)?;
        for hash in hashes.iter_mut() {
            *hash = self.number()?;
        }
        Ok(Seat { holder: Holder::of(hashes).ok_or(StateError)?, since, until })
    }

    fn counter(&mut self) -> Result<Counter, StateError> {
        let [length] = self.array()?;
        let name = core::str::from_utf8(self.bytes(length.into())?).map_err(|_| StateError)?;
        let name = Label::parse(name).map_err(|_| StateError)?;
        let used = self.number().ok().filter(|used| *used <= MAX_COUNTED).ok_or(StateError)?;
        Ok(Counter { name, used, period: self.some_moment()? })
    }

    fn applied(&mut self) -> Result<AppliedOperation, StateError> {
        let (id, at, asked) = (self.array()?, self.some_moment()?, self.number()?);
        Ok(AppliedOperation { operation: Operation { id, asked }, at })
    }
}
