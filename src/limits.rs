//! Every bound on what is read, with where it comes from.

use core::time::Duration;

/// Bytes of a request's body. A request with every field at its limit takes some 8 KiB; the rest is room.
pub const MAX_BODY_BYTES: usize = 65_536;

/// Bytes of a key as given. Ours has some 40; keys brought from elsewhere, signed ones among them, are longer.
pub const MAX_KEY_BYTES: usize = 512;

/// Bytes of a key in the store: what every host's key-value store takes (`wit/store.wit`). Ours have 72.
pub const MAX_STORE_KEY_BYTES: usize = 200;

/// Bytes of a value in the store: what every host's key-value store takes (`wit/store.wit`).
pub const MAX_VALUE_BYTES: usize = 65_536;

/// Bytes of a product's, plan's or feature's name (`wit/validator.wit`).
pub const MAX_NAME_BYTES: usize = 64;

/// Bytes of what people call a product, a policy or a token.
pub const MAX_DISPLAY_NAME_BYTES: usize = 256;

/// Features of a licence or a request (`wit/validator.wit`).
pub const MAX_FEATURES: usize = 64;

/// Domains of a licence: an agency's customers, or a platform's shops. Of usual length they take some 25 KiB; [`MAX_VALUE_BYTES`] bounds
/// what longer ones may take.
pub const MAX_DOMAINS: usize = 1_000;

/// Bytes of a nonce. 128 random bits take 22 to 36 characters; a hash in hexadecimal takes 64 or 128.
pub const MAX_NONCE_BYTES: usize = 128;

/// Bytes of a user's id or of one component of a fingerprint. A hash in hexadecimal takes 128, an e-mail address 254 (RFC 5321 section
/// 4.5.3.1.3 as its erratum 1690 reads it).
pub const MAX_IDENTIFIER_BYTES: usize = 256;

/// Components of a fingerprint: with more, [`MAX_SEATS`] of them would not fit into [`MAX_VALUE_BYTES`].
pub const MAX_COMPONENTS: usize = 5;

/// Seats of a licence, those over its limit included: what fits into one value of the store, so that one compare-and-swap decides.
pub const MAX_SEATS: usize = 1_000;

/// Allowances of a licence (`wit/validator.wit`).
pub const MAX_ALLOWANCES: usize = 8;

/// The most that an allowance may allow: far below what a program that counts in doubles (2⁵³) can still tell apart.
pub const MAX_ALLOWED: u64 = 1_000_000_000_000;

/// The most that is counted of an allowance, whatever its overage: the largest number that every reader of JSON takes exactly
/// (RFC 7493 section 2.2).
pub const MAX_COUNTED: u64 = (1 << 53) - 1;

/// The most that one request may consume or return.
pub const MAX_AMOUNT: u64 = 1_000_000_000;

/// Bytes of an `Idempotency-Key`. The draft of the IETF sets none; others in the field take 255.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Operations that a licence's own record remembers by their idempotency key: those that may still be under way, and some more.
pub const MAX_REMEMBERED: usize = 64;

/// How long an applied operation is remembered by its idempotency key, in seconds: a day, as is usual in the field.
pub const REMEMBER_SECONDS: u32 = 86_400;

/// Bytes of a domain's label in ASCII: RFC 1035 section 2.3.4.
pub const MAX_LABEL_BYTES: usize = 63;

/// Bytes of a domain in ASCII without its trailing dot: RFC 1035 section 2.3.4 allows 255 on the wire, which has a
/// length before each label and one for the root.
pub const MAX_DOMAIN_BYTES: usize = 253;

/// Bytes of a domain as given: four, the most that UTF-8 takes, for each of a longest domain's characters and its dot,
/// and a port.
pub const MAX_GIVEN_DOMAIN_BYTES: usize = 4 * (MAX_DOMAIN_BYTES + 1) + ":65535".len();

/// Bytes of a version. Semantic Versioning sets no limit and proposes 255 characters (its FAQ).
pub const MAX_VERSION_BYTES: usize = 255;

/// Characters of a key that are kept for display.
pub const HINT_CHARACTERS: usize = 4;

/// Bytes of an unknown field's name that an error repeats. Shorter than any key of ours, should one stand where a name
/// belongs.
pub const MAX_FIELD_NAME_BYTES: usize = 31;

/// Bytes of a setting's name (`wit/settings.wit`).
pub const MAX_SETTING_NAME_BYTES: usize = 64;

/// Bytes of all texts of one event (`wit/journal.wit`).
pub const MAX_EVENT_BYTES: usize = 4_096;

/// Keys of one page of a list (`wit/store.wit`).
pub const MAX_LIST_KEYS: u32 = 1_000;

/// Items on one page of a list of the vendors' API: a licence takes some 600 bytes, and one with 1,000
/// domains some 25 KiB.
pub const MAX_PAGE_ITEMS: u32 = 100;

/// Licences, or counts of validations, in one request of the vendors' API that takes many: what a
/// database commits in well under a second.
pub const MAX_BULK_ITEMS: u32 = 500;

/// How long a shell waits for the end of a body. 64 KiB take less on a modem line of 56 kbit/s.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
