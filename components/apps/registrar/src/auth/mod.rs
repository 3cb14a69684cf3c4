//! Who the caller is, and what they may do.

pub(crate) mod caller;
pub(crate) mod guesses;
pub(crate) mod throttle;
pub(crate) mod token;
