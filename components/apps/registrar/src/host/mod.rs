//! The other imports: clock, randomness, journal and store.

pub(crate) mod clock;
pub(crate) mod journal;
pub(crate) mod random;
pub(crate) mod store;
