//! The registrar's own bounds, with where each comes from. Those of licences and requests are the core's (`countersign::limits`).

use core::time::Duration;

use countersign::limits::{MAX_IDENTIFIER_BYTES, REMEMBER_SECONDS};

/// Items of a page where the caller names no limit.
pub(crate) const DEFAULT_PAGE_ITEMS: u32 = 20;

/// Items of a page: a licence takes some 600 bytes, and one with 1,000 domains some 25 KiB.
pub(crate) const MAX_PAGE_ITEMS: u32 = 100;

/// Licences, or counts of validations, in one request of those that take many: what a database commits in well under a second.
pub(crate) const MAX_BULK_ITEMS: u32 = 500;

/// Members of a product's or a licence's metadata: with the two below 18 KiB at most.
pub(crate) const MAX_METADATA: usize = 32;

/// Bytes of a member's name in metadata.
pub(crate) const MAX_METADATA_NAME_BYTES: usize = 64;

/// Bytes of a member's text in metadata.
pub(crate) const MAX_METADATA_VALUE_BYTES: usize = 512;

/// Products that a token may be bound to.
pub(crate) const MAX_TOKEN_PRODUCTS: usize = 64;

/// Bytes of a token that the operator sets: fewer could be guessed.
pub(crate) const MIN_SET_TOKEN_BYTES: usize = 32;

/// Bytes of a bearer token. Ours have 63.
pub(crate) const MAX_TOKEN_BYTES: usize = 512;

/// Requests with a wrong token that an address may make before each next one has it wait.
pub(crate) const FREE_FAILURES: u32 = 10;

/// How long an address waits at most after a wrong token, in seconds. The wait begins with one second, and doubles with each.
pub(crate) const MAX_FAILURE_WAIT_SECONDS: u32 = 60;

/// After so many seconds without a wrong token an address begins anew.
pub(crate) const FAILURES_FORGOTTEN_SECONDS: u32 = 900;

/// How much later, in seconds, a token's next use is noted: a write for each request would cost more than most requests.
pub(crate) const TOKEN_USE_SECONDS: u32 = 60;

/// How long an answer is kept for a request that comes again with its idempotency key, in seconds.
pub(crate) const KEEP_ANSWER_SECONDS: u32 = REMEMBER_SECONDS;

/// Kept answers that are over which one write throws away: twice as many as it can add would do.
pub(crate) const FORGET_ANSWERS: u32 = 16;

/// How often a change is tried where others change the same, or anything else, at the same moment.
pub(crate) const MAX_CHANGE_ATTEMPTS: u32 = 64;

/// How long a change is tried, however few the attempts. Below the deadlines of hosts.
pub(crate) const MAX_CHANGING: Duration = Duration::from_secs(5);

/// Rows of the outbox that a write delivers besides its own.
pub(crate) const DELIVER_OLDER: u32 = 16;

/// Rows of the outbox that are read at a time: 4 MiB at most.
pub(crate) const OUTBOX_PAGE: u32 = 64;

/// How long one request delivers. What is left then is for the next.
pub(crate) const MAX_DELIVERING: Duration = Duration::from_secs(4);

/// Bytes of a licence's owner, as of a user's id: an e-mail address takes 254.
pub(crate) const MAX_OWNER_BYTES: usize = MAX_IDENTIFIER_BYTES;

/// Bytes of what licences are searched for: with fewer a search would find too many to be of use.
pub(crate) const MIN_SEARCH_BYTES: usize = 2;

/// Bytes of what licences are searched for, and characters of what they are found by.
pub(crate) const MAX_SEARCH_BYTES: usize = 64;

/// Bytes of an export after which its page ends. With the licences that are read at once it fits into a guest's memory.
pub(crate) const MAX_EXPORT_BYTES: usize = 1024 * 1024;

/// Days of validations that are shown where the caller names none.
pub(crate) const DEFAULT_STATS_DAYS: u32 = 30;

/// Days of validations that are kept: a year, and room to look back on it.
pub(crate) const KEEP_STATS_DAYS: u32 = 400;

/// Bytes of records that one step of a reconciliation has delivered again, after which it ends. The step holds each several times.
pub(crate) const MAX_REPAIR_BYTES: usize = 1024 * 1024;
