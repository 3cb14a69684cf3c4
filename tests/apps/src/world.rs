//! The world around a component: time, settings, a store, and the faults that a test injects.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use countersign::{borrow_event, store_keys};
use countersign_host::bindings::store::{Entry, Error, Expectation, Freshness, Lookup, Outcome, Page};
use countersign_host::bindings::{journal, sql};

/// The world around the components of one test.
#[derive(Default)]
pub struct World {
    /// The clock, in seconds since 1970.
    pub now: i64,
    /// The settings, by name.
    pub settings: HashMap<String, String>,
    /// The store's entries.
    pub entries: BTreeMap<String, Entry>,
    /// What the store remembers of entries, in place of what they are now.
    pub remembered: HashMap<String, Lookup>,
    /// Whether the store cannot confirm what it remembers.
    pub is_origin_down: bool,
    /// The journal's events.
    pub events: Vec<journal::Event>,
    /// Whether every call of the store fails.
    pub is_store_down: bool,
    /// Keys whose values the store refuses as too large.
    pub too_large: BTreeSet<String>,
    /// Faults of the store's next calls, one a call.
    pub store_faults: VecDeque<Option<Fault>>,
    /// Errors of the database's next calls, one a call. A call that fails by this is not made.
    pub sql_faults: VecDeque<Option<sql::Error>>,
    /// `(n, fault)` ends the component's connections: the n-th of the next calls of the store and
    /// the database fails by this fault, and those after it by [`Fault::NotMade`].
    pub cut_off: Option<(usize, Fault)>,
    /// The errors that the database itself returned, except a missing table: an app learns from
    /// that error that the database is new.
    pub sql_errors: Vec<sql::Error>,
    /// Calls of the database and the store.
    pub calls: usize,
    /// Writes to the store, by apps and test, including those that conflicted.
    pub puts: u64,
}

/// How one call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Another client writes first, so a conditional write conflicts.
    Overtaken,
    /// The call is not made, and fails.
    NotMade,
    /// The call is made, and its answer is lost.
    AnswerLost,
}

impl World {
    /// Writes to the store, unconditionally, and returns the new version.
    pub fn write(&mut self, key: &str, value: Vec<u8>) -> u64 {
        self.puts += 1;
        self.entries.insert(key.to_owned(), Entry { value, version: self.puts });
        self.puts
    }

    /// The store's records of licences, by key.
    pub fn licenses(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter().filter(|(key, _)| key.starts_with(store_keys::LICENSE))
    }

    /// The journal as a host writes it, one line an event.
    pub fn journal(&self) -> Vec<String> {
        self.events.iter().filter_map(|event| borrow_event!(event).to_line()).collect()
    }

    /// The fault of the next call of the store or the database, by [`Self::cut_off`].
    pub(crate) fn cut(&mut self) -> Option<Fault> {
        self.calls += 1;
        let (left, first) = self.cut_off.as_mut()?;
        match *left {
            0 => Some(Fault::NotMade),
            _ => {
                *left -= 1;
                (*left == 0).then_some(*first)
            }
        }
    }

    /// Makes a call of the store, unless a fault prevents it.
    pub(crate) fn call_store<T>(
        &mut self,
        call: impl FnOnce(&mut Self, Option<Fault>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let failed = || Err(Error::Unavailable("a fault of the test".into()));
        let fault = self.cut().or_else(|| self.store_faults.pop_front().flatten());
        if fault == Some(Fault::NotMade) || self.is_store_down {
            return failed();
        }
        let answer = call(self, fault);
        if fault == Some(Fault::AnswerLost) { failed() } else { answer }
    }

    pub(crate) fn get(&mut self, key: &str, freshness: Freshness) -> Result<Lookup, Error> {
        self.call_store(|world, _| {
            let remembered = world.remembered.get(key);
            Ok(match remembered.filter(|_| freshness == Freshness::Usual || world.is_origin_down) {
                Some(remembered) => remembered.clone(),
                None => Lookup { entry: world.entries.get(key).cloned(), age_seconds: 0, stale: false },
            })
        })
    }

    pub(crate) fn put(&mut self, key: &str, value: Vec<u8>, expect: Expectation) -> Result<Outcome, Error> {
        self.call_store(|world, fault| {
            if world.too_large.contains(key) {
                return Err(Error::TooLarge);
            }
            let mut present = world.entries.get(key).cloned();
            if let (Some(Fault::Overtaken), Some(entry)) = (fault, &mut present) {
                entry.version = world.write(key, entry.value.clone());
            }
            let is_as_expected = match expect {
                Expectation::Any => true,
                Expectation::Absent => present.is_none(),
                Expectation::Matches(version) => present.as_ref().is_some_and(|entry| entry.version == version),
            };
            if is_as_expected {
                Ok(Outcome::Stored(Some(world.write(key, value))))
            } else {
                world.puts += 1;
                Ok(Outcome::Conflict(present))
            }
        })
    }

    pub(crate) fn delete(&mut self, key: &str) -> Result<(), Error> {
        self.call_store(|world, _| {
            world.entries.remove(key);
            Ok(())
        })
    }

    pub(crate) fn list_keys(&mut self, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Error> {
        self.call_store(|world, _| {
            let after = world.entries.keys().filter(|key| cursor.is_none_or(|cursor| key.as_str() > cursor));
            let keys = after.filter(|key| key.starts_with(prefix)).take(limit as usize + 1).cloned().collect();
            let (keys, next) = countersign::seam::page(keys, limit);
            Ok(Page { keys, next })
        })
    }
}
