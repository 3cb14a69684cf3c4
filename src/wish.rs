//! What a vendor wishes of a licence's state: seats released or moved, an allowance set.
//!
//! The vendor's app writes a wish down with its own data and delivers it later, perhaps twice. So a
//! wish has the same effect once or several times: a seat is named with the moment at which it was
//! taken, and a wish of another kind has an id that the state remembers.

use crate::{
    holder::{Holder, Matching},
    limits::{MAX_COUNTED, MAX_REMEMBERED},
    name::Label,
    state::{AppliedOperation, Counter, Operation, Seat, State},
    text::to_json,
    time::Timestamp,
};

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// A wish, as JSON: `{"release":[["act_0123456789abcdef",1795341600]]}`,
/// `{"move":{"id":…,"seat":["act_0123456789abcdef",1795341600],"to":[…],"matching":"all"}}`, or
/// `{"usage":{"id":…,"allowance":"credits","used":0,"period":1793491200,"kept":["credits"]}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// These seats are free, if they are still those that were taken then.
    Release(Vec<NamedSeat>),
    /// A seat has another holder.
    Move(Move),
    /// So much of an allowance was used.
    Usage(Usage),
}

/// The id of a seat, and when it was taken.
pub type NamedSeat = (String, i64);

/// A wish that a seat has another holder. The seat keeps its place, and when it was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    id: [u8; 16],
    seat: NamedSeat,
    /// The hashes of the new holder's names.
    to: Vec<u64>,
    /// When the new holder is that of another seat.
    matching: Matching,
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
        Self::Release(seats.map(named).collect())
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
                state.seats.retain(|seat| !seats.contains(&named(seat)));
            }
            Self::Move(wish) => wish.apply(state, now)?,
            Self::Usage(usage) => usage.apply(state, now)?,
        }
        Ok(())
    }
}

impl Move {
    /// The wish of this id that a seat has this holder, who is the same as another by `matching`.
    pub fn new(id: [u8; 16], seat: &Seat, holder: &Holder, matching: Matching) -> Self {
        Self { id, seat: named(seat), to: holder.hashes().to_vec(), matching }
    }

    fn apply(&self, state: &mut State, now: Timestamp) -> Result<(), WishError> {
        let holder = Holder::of(&self.to).ok_or(WishError)?;
        let is_meant = |seat: &Seat| named(seat) == self.seat;
        if was_applied(state, self.id) || !state.seats.iter().any(is_meant) {
            return Ok(());
        }
        // The new holder may have taken a seat since. It keeps one, the one whose lease runs.
        let is_own = |seat: &Seat| !is_meant(seat) && seat.holder.is(&holder, self.matching);
        if state.seats.iter().any(|seat| is_own(seat) && seat.is_live(now)) {
            state.seats.retain(|seat| !is_meant(seat));
        } else {
            state.seats.retain(|seat| !is_own(seat));
            state.seats.iter_mut().filter(|seat| is_meant(seat)).for_each(|seat| seat.holder = holder);
        }
        remember(state, self.id, now);
        Ok(())
    }
}

impl Usage {
    fn apply(&self, state: &mut State, now: Timestamp) -> Result<(), WishError> {
        let name = Label::parse(&self.allowance).map_err(|_| WishError)?;
        let period = Timestamp::from_unix(self.period);
        let is_over = |counter: &Counter| counter.name == name && counter.period > period;
        if self.used > MAX_COUNTED {
            return Err(WishError);
        }
        // Whose period has begun since is not what the vendor saw.
        if was_applied(state, self.id) || state.counters.iter().any(is_over) {
            return Ok(());
        }
        let is_kept =
            |counter: &Counter| counter.name != name && self.kept.iter().any(|kept| kept == counter.name.as_str());
        state.counters.retain(is_kept);
        state.counters.push(Counter { name, used: self.used, period });
        remember(state, self.id, now);
        Ok(())
    }
}

fn named(seat: &Seat) -> NamedSeat {
    (alloc::format!("{}", seat.holder.activation_id()), seat.since.unix())
}

/// Whether the state remembers the wish of this id.
fn was_applied(state: &State, id: [u8; 16]) -> bool {
    state.applied.iter().any(|applied| applied.operation.id == id)
}

fn remember(state: &mut State, id: [u8; 16], now: Timestamp) {
    if state.applied.len() >= MAX_REMEMBERED {
        state.applied.remove(0);
    }
    state.applied.push(AppliedOperation { operation: Operation { id, asked: 0 }, at: now });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LicenseId;
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
        for wish in [Wish::release(state().seats.iter()), usage(100), moved(&state(), "c")] {
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

    /// A wish that the first seat is that of this holder.
    fn moved(state: &State, to: &str) -> Wish {
        let holder = Holder::named(&LicenseId::generate([7; 16]), to);
        Wish::Move(Move::new([3; 16], &state.seats[0], &holder, Matching::All))
    }

    #[test]
    fn a_seat_is_moved_once_and_keeps_its_place() {
        let before = state();
        let there = moved(&before, "c");
        let mut state = before.clone();
        there.apply(&mut state, NOW).unwrap();
        assert_eq!(state.seats[0].since, before.seats[0].since);
        assert!(state.seats[0].holder != before.seats[0].holder && state.seats[1] == before.seats[1]);
        assert!(State::from_bytes(&state.to_bytes()).is_ok());
        // Delivered again after it was moved back.
        let a = before.seats[0].holder;
        let back = Wish::Move(Move::new([4; 16], &state.seats[0], &a, Matching::All));
        back.apply(&mut state, NOW).unwrap();
        assert_eq!(state.seats, before.seats);
        there.apply(&mut state, NOW).unwrap();
        assert_eq!(state.seats, before.seats);
    }

    #[test]
    fn a_new_holder_that_took_a_seat_meanwhile_has_one_seat() {
        let before = state();
        let wish = moved(&before, "b");
        let mut state = before.clone();
        wish.apply(&mut state, NOW).unwrap();
        assert_eq!(state.seats, before.seats[1..]);
        // One whose lease has ended gives way.
        let mut state = before.clone();
        state.seats[1].until = Some(NOW);
        wish.apply(&mut state, NOW).unwrap();
        assert_eq!(state.seats.len(), 1);
        assert_eq!((state.seats[0].holder, state.seats[0].since), (before.seats[1].holder, before.seats[0].since));
        // The seat was released and taken again, so it is another.
        let mut state = before.clone();
        state.seats[0].since = NOW;
        let taken_again = state.clone();
        wish.apply(&mut state, NOW).unwrap();
        assert_eq!(state, taken_again);
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
