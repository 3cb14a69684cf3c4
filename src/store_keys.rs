//! The store's keys: one prefix for each kind of entry, and the one app that writes it.
//!
//! An app reads what it needs. A host that can tell its apps apart grants each the writing of its own
//! prefixes only.

/// A licence's record ([`License`](crate::license::License)), under the SHA-256 hash of its key in
/// hexadecimal: [`KeyHash::store_key`](crate::key::KeyHash::store_key).
pub const LICENSE: &str = "license:";

/// A licence's usage state ([`State`](crate::state::State)), under the licence's id:
/// [`LicenseId::state_key`](crate::id::LicenseId::state_key).
pub const STATE: &str = "state:";

/// An operation with an idempotency key that was applied
/// ([`AppliedOperation`](crate::state::AppliedOperation)), under its id in hexadecimal:
/// [`Operation::store_key`](crate::state::Operation::store_key).
pub const OPERATION: &str = "operation:";

/// The prefixes that the registrar alone writes.
pub const WRITTEN_BY_REGISTRAR: [&str; 1] = [LICENSE];

/// The prefixes that the validator alone writes.
pub const WRITTEN_BY_VALIDATOR: [&str; 2] = [STATE, OPERATION];
