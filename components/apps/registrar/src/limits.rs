//! The registrar's own bounds, with where each comes from. Those of licences and requests are the
//! core's (`countersign::limits`).

use core::time::Duration;

use countersign::limits::{MAX_IDENTIFIER_BYTES, REMEMBER_SECONDS};
use countersign_app_common::contention::Bound;

/// Items of a page if the caller names no limit.
pub(crate) const DEFAULT_PAGE_ITEMS: u32 = 20;

/// Items of a page: a licence takes some 600 bytes, and one with 1,000 domains some 25 KiB.
pub(crate) const MAX_PAGE_ITEMS: u32 = 100;

/// Licences, or counts of validations, in one bulk request: what a database commits in well under
/// a second.
pub(crate) const MAX_BULK_ITEMS: u32 = 500;

/// Members of a product's or a licence's metadata: with the two bounds below 18 KiB at most.
pub(crate) const MAX_METADATA: usize = 32;

/// Bytes of the name of a member of metadata.
pub(crate) const MAX_METADATA_NAME_BYTES: usize = 64;

/// Bytes of the value of a member of metadata.
pub(crate) const MAX_METADATA_VALUE_BYTES: usize = 512;

/// Products that a token may be bound to.
pub(crate) const MAX_TOKEN_PRODUCTS: usize = 64;

/// Bytes of a bearer token. Ours have 63.
pub(crate) const MAX_TOKEN_BYTES: usize = 512;

/// Seconds between two updates of a token's last use: one for each request would cost more than
/// most requests do.
pub(crate) const TOKEN_USE_SECONDS: u32 = 60;

/// Entries that an edge may ask for at once.
pub(crate) const MAX_ENTRIES: usize = 100;

/// Events whose licences one answer to an edge tells of: with the bound below some 30 ms of work.
pub(crate) const CHANGES_PAGE: u32 = 100;

/// Bytes of records after which such an answer ends.
pub(crate) const MAX_CHANGES_BYTES: usize = 1024 * 1024;

/// How long an answer is stored for retries with its idempotency key, in hours, unless a setting
/// says otherwise.
pub(crate) const KEEP_ANSWER_HOURS: u32 = REMEMBER_SECONDS / 3_600;

/// Expired answers that one write deletes. It adds at most one, so two would do.
pub(crate) const FORGET_ANSWERS: u32 = 16;

/// How often, and how long, a change is tried while it conflicts with others. The time is below the
/// deadlines of all hosts.
pub(crate) const CHANGE_BOUND: Bound = Bound { attempts: 64, time: Duration::from_secs(5) };

/// Rows of the outbox that a write delivers besides its own.
pub(crate) const DELIVER_OLDER: u32 = 16;

/// Rows of the outbox that are read at a time: 4 MiB at most.
pub(crate) const OUTBOX_PAGE: u32 = 64;

/// How long one request delivers. The rows that are left are for the next.
pub(crate) const MAX_DELIVERING: Duration = Duration::from_secs(4);

/// Bytes of a licence's owner, as of a user's id: an e-mail address takes 254.
pub(crate) const MAX_OWNER_BYTES: usize = MAX_IDENTIFIER_BYTES;

/// Bytes of a search text: a shorter one would find too many licences to be of use.
pub(crate) const MIN_SEARCH_BYTES: usize = 2;

/// Bytes of a search text, and characters of a term that it finds.
pub(crate) const MAX_SEARCH_BYTES: usize = 64;

/// Words of an owner, or of a value of metadata, by which a search finds it: with the bound above
/// they take half a kilobyte.
pub(crate) const MAX_SEARCH_WORDS: usize = 8;

/// Licences, or other rows, that one request for a list looks at: some tens of milliseconds. A page
/// that has found too few by then ends early.
pub(crate) const MAX_LOOKED_AT: u32 = 10_000;

/// Rows that a list with filters looks at between two counts of what it has found.
pub(crate) const WINDOW: u32 = 500;

/// Licences of an older version that one delivery of the outbox gives the terms of this version.
pub(crate) const INDEX_AT_ONCE: u32 = 200;

/// Bytes that one request may have the database write. The largest change of one licence takes half
/// a megabyte, and 500 ordinary licences take one or two.
pub(crate) const MAX_CHANGE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of changed records after which a portion of a bulk change ends: with the licences that are
/// read at once a change of it is within the bound above.
pub(crate) const MAX_PORTION_BYTES: usize = 128 * 1024;

/// Bytes after which a page of an export ends. With the licences that are read at once it fits into
/// a guest's memory.
pub(crate) const MAX_EXPORT_BYTES: usize = 1024 * 1024;

/// The highest generation that an import takes and an export writes. A licence that comes in with
/// it can still be changed 2⁵² times before its generation is past the whole numbers that every
/// reader of JSON takes exactly.
pub(crate) const MAX_IMPORTED_GENERATION: u64 = 1 << 52;

/// Days of validations in the statistics if the caller names none.
pub(crate) const DEFAULT_STATS_DAYS: u32 = 30;

/// Days for which counts of validations are stored, unless a setting says otherwise: a year, and
/// room to look back on it.
pub(crate) const KEEP_VALIDATION_DAYS: u32 = 400;

/// The highest number of days or hours in a setting: a century of days.
pub(crate) const MAX_RETENTION: u32 = 36_500;

/// Rows of each kind that one portion of a removal takes: what a database commits in well under a
/// second.
pub(crate) const CLEAN_AT_ONCE: u32 = 500;

/// Seconds between two looks of one instance for what is too old.
pub(crate) const RETENTION_PAUSE_SECONDS: u32 = 3_600;

/// Bytes of records to deliver after which one step of a reconciliation ends. The step has each
/// record in memory several times.
pub(crate) const MAX_REPAIR_BYTES: usize = 1024 * 1024;
