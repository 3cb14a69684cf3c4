//! The one way to write: a transaction with its events and its stored answer, and then the delivery
//! to the store.

mod chain;
pub(crate) mod change;
pub(crate) mod head;
pub(crate) mod idempotency;
pub(crate) mod outbox;

pub(crate) use chain::End;
