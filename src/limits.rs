//! The bounds on everything that is read, each with its source.

use core::time::Duration;

/// Bytes of a request's body. A request with every field at its limit takes some 16 KiB; the rest
/// is room to grow.
pub const MAX_BODY_BYTES: usize = 65_536;

/// Bytes of a key as given. A generated key has some 40; existing keys, such as signed ones with
/// data in them, can be longer. They are hashed, so their length costs nothing in the store.
pub const MAX_KEY_BYTES: usize = 8_192;

/// Bytes of a key in the store, which every host's key-value store accepts (`wit/store.wit`). A
/// licence's has 72.
pub const MAX_STORE_KEY_BYTES: usize = 200;

/// Bytes of a value in the store, which every host's key-value store accepts (`wit/store.wit`).
pub const MAX_VALUE_BYTES: usize = 65_536;

/// Bytes of a product's, plan's or feature's name (`wit/validator.wit`).
pub const MAX_NAME_BYTES: usize = 64;

/// Bytes of the display name of a product, a policy or a token.
pub const MAX_DISPLAY_NAME_BYTES: usize = 256;

/// Features of a licence or a request (`wit/validator.wit`).
pub const MAX_FEATURES: usize = 64;

/// Domains of a licence: an agency's customers, or a platform's shops. A thousand of usual length
/// take some 25 KiB; [`MAX_VALUE_BYTES`] bounds longer ones.
pub const MAX_DOMAINS: usize = 1_000;

/// Users who may use a licence. A thousand ids of usual length take some 40 KiB;
/// [`MAX_VALUE_BYTES`] bounds longer ones.
pub const MAX_USERS: usize = 1_000;

/// Names that take no seat: those of development and staging.
pub const MAX_UNCOUNTED: usize = 32;

/// Bytes of a nonce. 128 random bits take 22 to 36 characters; a hash in hexadecimal takes 64 or
/// 128.
pub const MAX_NONCE_BYTES: usize = 128;

/// Bytes of a user's id or of one component of a fingerprint. A hash in hexadecimal takes 128, and
/// an e-mail address 254 (RFC 5321 section 4.5.3.1.3, corrected by erratum 1690).
pub const MAX_IDENTIFIER_BYTES: usize = 256;

/// Components of a fingerprint: with more, [`MAX_SEATS`] fingerprints would not fit into
/// [`MAX_VALUE_BYTES`].
pub const MAX_COMPONENTS: usize = 5;

/// Seats of a licence, overage included: all fit into one value of the store, so that one
/// compare-and-swap decides.
pub const MAX_SEATS: usize = 1_000;

/// Allowances of a licence (`wit/validator.wit`).
pub const MAX_ALLOWANCES: usize = 8;

/// The highest limit of an allowance: far below 2⁵³, up to which a program that counts in doubles
/// is exact.
pub const MAX_ALLOWED: u64 = 1_000_000_000_000;

/// The highest count of an allowance's use, whatever its overage: the largest integer that every
/// reader of JSON reads exactly (RFC 7493 section 2.2).
pub const MAX_COUNTED: u64 = (1 << 53) - 1;

/// The most that one request may consume or return.
pub const MAX_AMOUNT: u64 = 1_000_000_000;

/// Bytes of an `Idempotency-Key`. The IETF draft sets no bound; others in the field accept 255.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Operations with an idempotency key that a licence's state remembers: more than are usually
/// retried at one time. As many fit into each entry of a licence's longer memory.
pub const MAX_REMEMBERED: usize = 64;

/// Entries of a licence's longer memory, where the store expires entries: 4,096 operations, in some
/// 130 KiB.
pub const MEMORY_ENTRIES: u8 = 64;

/// Seconds for which an applied operation is remembered by its idempotency key: a day, as is usual
/// in the field.
pub const REMEMBER_SECONDS: u32 = 86_400;

/// Bytes of a domain's label in ASCII: RFC 1035 section 2.3.4.
pub const MAX_LABEL_BYTES: usize = 63;

/// Bytes of a domain in ASCII without its trailing dot: RFC 1035 section 2.3.4 allows 255 on the
/// wire, where each label and the root have a length before them.
pub const MAX_DOMAIN_BYTES: usize = 253;

/// Bytes of a domain as given: the longest domain and its trailing dot, at four bytes a character,
/// the most that UTF-8 takes, and a port.
pub const MAX_GIVEN_DOMAIN_BYTES: usize = 4 * (MAX_DOMAIN_BYTES + 1) + ":65535".len();

/// Bytes of a version. Semantic Versioning sets no limit and proposes 255 characters (its FAQ).
pub const MAX_VERSION_BYTES: usize = 255;

/// Characters of a key that are stored for display.
pub const HINT_CHARACTERS: usize = 4;

/// Bytes of an unknown field's name that an error repeats. A generated key is longer, so an error
/// never repeats one that was sent as a name.
pub const MAX_FIELD_NAME_BYTES: usize = 31;

/// Bytes of a setting's name (`wit/settings.wit`).
pub const MAX_SETTING_NAME_BYTES: usize = 64;

/// Bytes of all texts of one event (`wit/journal.wit`).
pub const MAX_EVENT_BYTES: usize = 4_096;

/// Keys of one page of a list (`wit/store.wit`).
pub const MAX_LIST_KEYS: u32 = 1_000;

/// Items on one page of a list in the vendor's API: a licence takes some 600 bytes, and one with
/// 1,000 domains some 25 KiB.
pub const MAX_PAGE_ITEMS: u32 = 100;

/// Licences, or counts of validations, in one bulk request of the vendor's API: a database commits
/// as many in well under a second.
pub const MAX_BULK_ITEMS: u32 = 500;

/// How long a shell waits for the end of a body. Even at 56 kbit/s, 64 KiB arrive sooner.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
