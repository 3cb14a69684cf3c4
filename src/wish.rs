//! What a vendor wishes of a licence's state: seats released, an allowance set.
//!
//! The vendor's app writes a wish down with its own data and delivers it later, perhaps twice. So a
//! wish has the same effect once or several times: a seat is named with the moment at which it was
//! taken, and a wish about an allowance has an id that the state remembers.

use crate::{
    id::ActivationId,
    limits::{MAX_COUNTED, MAX_REMEMBERED},
    name::Label,
    state::{AppliedOperation, Counter, Operation, Seat, State},
    text::to_json,
    time::Timestamp,
};

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// A wish, as JSON: `{"release":[["act_0123456789abcdef",1795341600]]}`, or
/// `{"usage":{"id":…,"allowance":"credits","used":0,"period":1793491200,"kept":["credits"]}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// These seats are free, if they are still those that were taken then.
    Release(Vec<(String, i64)>),
    /// So much of an allowance was used.
    Usage(Usage),
}

/// A wish about an allowance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Identifies the wish.
    pub id: [u8; 16],
    /// The allowance's name.
    pub allowance: String,
    /// How much was used of it: at most 2⁵³ - 1.
    pub used: u64,
    /// The beginning of the period that this is about, in seconds since 1970-01-01T00:00:00Z.
    pub period: i64,
    /// The names of all allowances of the licence: counters of others are removed.
    pub kept: Vec<String>,
}

/// The text is not a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a wish")]
pub struct WishError;

impl Wish {
    /// The release of these seats.
    pub fn release<'a>(seats: impl Iterator<Item = &'a Seat>) -> Self {
        let seat = |seat: &Seat| (id_of(seat.holder.activation_id()), seat.since.unix());
        Self::Release(seats.map(seat).collect())
    }

    /// Reads a wish.
    ///
    /// # Errors
    ///
    /// [`WishError`] if the bytes are not a wish.
    pub fn from_json(json: &[u8]) -> Result<Self, WishError> {
        serde_json::from_slice(json).map_err(|_| WishError)
    }

    /// Writes the wish, which [`Wish::from_json`] reads.
    pub fn to_json(&self) -> String {
        to_json(self)
    }

    /// Fulfils the wish, unless that was done before.
    ///
    /// # Errors
    ///
    /// [`WishError`] if the wish names what cannot be in a state.
    pub fn apply(&self, state: &mut State, now: Timestamp) -> Result<(), WishError> {
        match self {
            Self::Release(seats) => {
                let is_named = |seat: &Seat| {
                    let (id, since) = (id_of(seat.holder.activation_id()), seat.since.unix());
                    seats.iter().any(|(named, taken)| *named == id && *taken == since)
                };
                state.seats.retain(|seat| !is_named(seat));
            }
            Self::Usage(usage) => usage.apply(state, now)?,
        }
        Ok(())
    }
}

impl Usage {
    fn apply(&self, state: &mut State, now: Timestamp) -> Result<(), WishError> {
        let operation = Operation { id: self.id, asked: 0 };
        let name = Label::parse(&self.allowance).map_err(|_| WishError)?;
        let period = Timestamp::from_unix(self.period);
        let is_over = |counter: &Counter| counter.name == name && counter.period > period;
        if self.used > MAX_COUNTED {
            return Err(WishError);
        }
        // Whose period has begun since is not what the vendor saw.
        if state.applied.iter().any(|applied| applied.operation.id == self.id) || state.counters.iter().any(is_over) {
            return Ok(());
        }
        let is_kept =
            |counter: &Counter| counter.name != name && self.kept.iter().any(|kept| kept == counter.name.as_str());
        state.counters.retain(is_kept);
        state.counters.push(Counter { name, used: self.used, period });
        if state.applied.len() >= MAX_REMEMBERED {
            state.applied.remove(0);
        }
        state.applied.push(AppliedOperation { operation, at: now });
        Ok(())
    }
}

fn id_of(id: ActivationId) -> String {
    alloc::format!("{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{holder::Holder, id::LicenseId};
    use alloc::{borrow::ToOwned, vec};

    const NOW: Timestamp = Timestamp::from_unix(1_795_341_600);

    fn state() -> State {
        let license = LicenseId::generate([7; 16]);
        let seat = |name: &str, since: i64| Seat {
            holder: Holder::named(&license, name),
            since: Timestamp::from_unix(since),
            until: None,
        };
        let counter = |name: &str, period: i64| Counter {
            name: Label::parse(name).unwrap(),
            used: 5,
            period: Timestamp::from_unix(period),
        };
        State {
            seats: vec![seat("a", 1), seat("b", 2)],
            counters: vec![counter("credits", 100), counter("old", 0)],
            ..State::default()
        }
    }

    fn usage(period: i64) -> Wish {
        let (allowance, kept) = ("credits".to_owned(), vec!["credits".to_owned()]);
        Wish::Usage(Usage { id: [1; 16], allowance, used: 2, period, kept })
    }

    #[test]
    fn a_wish_reads_as_it_was_written() {
        for wish in [Wish::release(state().seats.iter()), usage(100)] {
            assert_eq!(Wish::from_json(wish.to_json().as_bytes()), Ok(wish));
        }
        assert_eq!(Wish::from_json(b"{}"), Err(WishError));
        let written = r#"{"release":[["act_0123456789abcdef",1795341600]]}"#;
        let wish = Wish::Release(vec![("act_0123456789abcdef".to_owned(), 1_795_341_600)]);
        assert_eq!(Wish::from_json(written.as_bytes()), Ok(wish));
    }

    #[test]
    fn a_seat_that_was_taken_again_stays() {
        let before = state();
        let wish = Wish::release(before.seats[..1].iter());
        let mut after = before.clone();
        wish.apply(&mut after, NOW).unwrap();
        assert_eq!(after.seats, before.seats[1..]);
        after.seats.push(Seat { since: NOW, ..before.seats[0] });
        let taken_again = after.clone();
        wish.apply(&mut after, NOW).unwrap();
        assert_eq!(after, taken_again);
    }

    #[test]
    fn an_allowance_is_set_once_and_only_in_its_period() {
        let mut state = state();
        usage(100).apply(&mut state, NOW).unwrap();
        assert_eq!(state.counters.iter().map(|counter| counter.used).collect::<Vec<_>>(), [2]);
        state.counters[0].used = 9;
        usage(100).apply(&mut state, NOW).unwrap();
        assert_eq!(state.counters[0].used, 9);
        state.applied.clear();
        state.counters[0].period = Timestamp::from_unix(101);
        usage(100).apply(&mut state, NOW).unwrap();
        assert_eq!(state.counters[0].used, 9, "the next period has begun");
        let wrong = Wish::Usage(Usage { id: [2; 16], allowance: String::new(), used: 0, period: 0, kept: vec![] });
        assert_eq!(wrong.apply(&mut state, NOW), Err(WishError));
        assert!(State::from_bytes(&state.to_bytes()).is_ok());
    }
}
