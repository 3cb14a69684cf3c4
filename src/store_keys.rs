//! The prefixes of the store's keys: one for each kind of entry, which one app writes. The usage
//! state alone has two writers: the validator, and the registrar for what a vendor wishes of it.
//!
//! Apps may read every entry. A host that can tell its apps apart lets each write only under its
//! own prefixes.

/// A licence's record ([`License`](crate::license::License)), under the SHA-256 hash of its key in
/// hexadecimal: [`KeyHash::store_key`](crate::key::KeyHash::store_key).
pub const LICENSE: &str = "license:";

/// A licence's usage state ([`State`](crate::state::State)), under the licence's id:
/// [`LicenseId::state_key`](crate::id::LicenseId::state_key).
pub const STATE: &str = "state:";

/// Operations of a licence with idempotency keys ([`Memory`](crate::state::Memory)), under the
/// licence's id and a number: [`Operation::store_key`](crate::state::Operation::store_key).
pub const OPERATION: &str = "operation:";

/// The end of the audit's chain of events, as the registrar last knew it: its number, a colon and
/// its hash in hexadecimal.
pub const AUDIT_HEAD: &str = "audit:head";

/// The prefixes that the registrar writes.
pub const WRITTEN_BY_REGISTRAR: [&str; 3] = [LICENSE, AUDIT_HEAD, STATE];

/// The prefixes that the validator writes.
pub const WRITTEN_BY_VALIDATOR: [&str; 2] = [STATE, OPERATION];
