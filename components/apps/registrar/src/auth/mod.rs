//! Who the caller is, and what they may do.

pub(crate) mod caller;
mod throttle;
pub(crate) mod token;
