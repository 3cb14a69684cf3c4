//! Who the caller is, and what they may do.

pub(crate) mod caller;
pub(crate) mod guesses;
mod throttle;
pub(crate) mod token;
