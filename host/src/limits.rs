//! Every bound of the native host, in one place. Bounds of the protocol and of stored data are the
//! core's, in [`countersign::limits`].

use std::time::Duration;

// HTTP.

/// Connections of a listener at once, unless the operator sets another number. Below the usual soft
/// limit of 1,024 open files, which a start raises if it can.
pub const MAX_CONNECTIONS: usize = 900;

/// The same for the vendors' own listener.
pub const MAX_VENDOR_CONNECTIONS: usize = 100;

/// Connections of one address at once, or of 64 bits of IPv6. Enough for a proxy, as a validation
/// takes well under a millisecond, and far fewer than [`MAX_CONNECTIONS`].
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 256;

/// The share of the places that is for health checks and for callers who are known: a tenth.
pub const RESERVED_SHARE: usize = 10;

/// Open files that are not connections: databases, components, the journal, and connections that
/// are being closed.
pub const OTHER_FILES: u64 = 256;

/// Connections that wait in the kernel until they are accepted. Linux allows as many by default.
pub const BACKLOG: u32 = 4_096;

/// Between two looks at the connections: late ones are closed, and refusals reported.
pub const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Addresses in one report of who was refused.
pub const MAX_NOTICES: usize = 64;

/// Bytes of a request's line and headers together. nginx takes 32 KiB by default, for browsers with
/// large cookies; programs that check a licence send a few hundred bytes. hyper's own floor is 8
/// KiB.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Headers of a request.
pub const MAX_HEADERS: usize = 64;

/// From the first byte of a request to the end of its headers, and from a new connection to the end
/// of the first ones: bounds silent clients and slow senders.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection is kept for a next request, unless the operator sets another time. Longer
/// than load balancers keep theirs, mostly 60 seconds: of the two the balancer should close first,
/// or it sends a request into a connection that closes.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long sent bytes may stay unacknowledged before the kernel drops the connection
/// (`TCP_USER_TIMEOUT`): bounds clients that do not read their answers.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// After an answer that ends a connection, how long the client's further bytes are read and
/// discarded. Otherwise closing could reset the connection before the client has read the answer
/// (RFC 9112, section 9.6).
pub const LINGER: Duration = Duration::from_secs(1);
/// The bytes that are discarded in that time.
pub const LINGER_BYTES: u64 = 1024 * 1024;

/// From a signal to stop until requests in flight are cut off.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

// Components.

/// The validator's time to answer one request, unless the operator sets another.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(1);

/// The registrar's time to answer one request: an import of 500 lines has some thousand statements.
pub const REGISTRAR_DEADLINE: Duration = Duration::from_secs(10);

/// How long a guest computes before it yields to others. A validation takes some 20 microseconds.
pub const EPOCH_TICK: Duration = Duration::from_millis(5);

/// Epoch ticks after which a call counts as slow and must queue for a permit to compute.
pub const FAST_TICKS: u32 = 10;

/// Instances at once. However many connections there are, fewer requests than [`MAX_CONNECTIONS`]
/// are answered at once on one listener, and fewer than [`MAX_VENDOR_CONNECTIONS`] on the other.
pub const MAX_INSTANCES: u32 = (MAX_CONNECTIONS + MAX_VENDOR_CONNECTIONS) as u32;

/// Core instances, memories and tables in the pool, for each of [`MAX_INSTANCES`].
pub const CORE_INSTANCES_PER_INSTANCE: u32 = 8;

/// Bytes of an instance's linear memory. A request holds a body of 64 KiB and one record; the rest
/// is stack, data and headroom.
pub const MAX_GUEST_MEMORY: usize = 16 * 1024 * 1024;

/// The same for the registrar, which holds 500 licences of a table or a body, with all their
/// changes and results.
pub const MAX_REGISTRAR_MEMORY: usize = 64 * 1024 * 1024;

/// Known callers' requests to the registrar at once; further ones wait for a permit within their
/// deadline.
pub const REGISTRAR_CALLS: usize = 32;

/// The same for all others, who may be guessing tokens.
pub const STRANGERS_CALLS: usize = 8;

/// Callers who are known, at some 16 bytes each.
pub const MAX_KNOWN_CALLERS: usize = 4_096;

/// Bytes of linear memory that stay mapped for the next instance in a slot: all that a validation
/// touches.
pub const RESIDENT_MEMORY: usize = 2 * 1024 * 1024;

/// The same for a table of functions, whose entries have 8 bytes each.
pub const RESIDENT_TABLE: usize = 64 * 1024;

/// Calls to one instance before it is replaced: bounds what a leak can gather, and makes the cost
/// of a start negligible.
pub const CALLS_PER_INSTANCE: u32 = 10_000;

/// Idle instances of the validator that are pooled. More are created when more requests run at
/// once.
pub const WARM_INSTANCES: usize = 64;

/// The same for the registrar: each keeps the memory that its largest request took.
pub const WARM_REGISTRARS: usize = 4;

// Settings.

/// Bytes of a file that a setting is read from.
pub const MAX_SETTING_FILE_BYTES: u64 = 64 * 1024;

// The store.

/// Idle connections to the store that are pooled.
pub const WARM_CONNECTIONS: usize = 16;

/// Bytes of cached rows, with [`ROW_OVERHEAD`] for each: some 50,000 licences of the usual 300
/// bytes.
pub const MAX_ROW_BYTES: usize = 32 * 1024 * 1024;

/// What a cached row takes besides its key and value: allocations and its share of the table.
pub const ROW_OVERHEAD: usize = 256;

/// Writes that are committed together, and that wait for the next commit: 16 MiB at most. Further
/// ones wait in their requests.
pub const WRITES_PER_COMMIT: usize = 128;

/// Expired entries that a write of an entry with a time to live deletes: a few more than it adds.
pub const EXPIRED_PER_WRITE: u32 = 4;

/// Expired entries that are deleted at a time in the background: a millisecond's work.
pub const EXPIRED_PER_COMMIT: u32 = 256;

/// Between two of these deletions, so that they take a small part of the writer's time. A million
/// entries take some seven minutes.
pub const EXPIRED_PAUSE: Duration = Duration::from_millis(100);

/// Between two looks for entries that have expired.
pub const CLEAN_PAUSE: Duration = Duration::from_secs(30);

/// How long a request's store call waits for a writer in another process. Below
/// [`REQUEST_DEADLINE`].
pub const SERVE_BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a command waits for a writer in another process.
pub const COMMAND_BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Keys that a command lists at a time.
pub const LIST_PAGE: u32 = countersign::limits::MAX_LIST_KEYS;

// The registrar's database.

/// How long a call waits for a connection, and then for another process. Both together are below
/// [`REGISTRAR_DEADLINE`].
pub const SQL_BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the statements of one call may run together. Below [`REGISTRAR_DEADLINE`].
pub const SQL_DEADLINE: Duration = Duration::from_secs(5);

/// Connections that read at the same time.
pub const SQL_READERS: usize = 8;

/// Prepared statements that each connection caches: more than the registrar has.
pub const SQL_STATEMENTS: usize = 256;

/// Bytes of all values that one statement may return, with [`SQL_VALUE_OVERHEAD`] for each. Below
/// [`MAX_REGISTRAR_MEMORY`].
pub const MAX_SQL_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What a value takes besides its bytes.
pub const SQL_VALUE_OVERHEAD: usize = 32;

// An edge.

/// How long a connection to the origin may take to open.
pub const ORIGIN_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Open connections to the origin that wait for a next request.
pub const IDLE_ORIGIN_CONNECTIONS: usize = 16;

/// Between two looks for changes at the origin: about as long a revocation takes to arrive.
pub const FOLLOW_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two looks while the origin does not answer.
pub const MAX_FOLLOW_PAUSE: Duration = Duration::from_secs(15);

/// How long one look may take.
pub const FOLLOW_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of one answer with changes: a megabyte of records, one more of the largest, and base64.
pub const MAX_CHANGES_ANSWER_BYTES: u32 = 16 * 1024 * 1024;

/// Parts of such an answer that are kept at once, so that they share commits.
pub const APPLIED_AT_ONCE: usize = 32;

/// Changes between two reports of the progress of a first synchronisation.
pub const REPORT_PROGRESS: usize = 10_000;

/// The time limit of a licence check at an edge, unless the operator sets another: it may wait for
/// the origin twice.
pub const EDGE_DEADLINE: Duration = Duration::from_secs(5);

// The journal and the registrar's background work.

/// Events that wait for the journal's thread; further ones are dropped and counted. At most 32 MiB.
pub const JOURNAL_QUEUE: usize = 8_192;

/// How long the journal's thread rests once it has caught up, and so how late an event may be
/// written. With a full queue it still writes 1.6 million events a second.
pub const JOURNAL_PAUSE: Duration = Duration::from_millis(5);

/// How long a stop waits for the journal's thread.
pub const JOURNAL_FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Licences whose validations are counted between two reports; validations of further ones count as
/// lost.
pub const MAX_COUNTED_LICENSES: usize = 100_000;

/// Counts in one report to the registrar: the API's maximum.
pub const COUNTS_PER_REQUEST: usize = countersign::limits::MAX_BULK_ITEMS as usize;

/// Between two reports of validations to the registrar.
pub const COUNTS_PAUSE: Duration = Duration::from_secs(5);

/// Between two deliveries of the outbox while it is not empty, and after a request that may have
/// added to it.
pub const OUTBOX_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause while the store fails, and the pause while the outbox is empty: another
/// process may add to it.
pub const MAX_OUTBOX_PAUSE: Duration = Duration::from_secs(30);

/// Between two looks for data that is too old. Settings count in hours and days.
pub const RETENTION_PAUSE: Duration = Duration::from_secs(3_600);

/// Between two portions of a removal, so that vendors' writes come between.
pub const PORTION_PAUSE: Duration = Duration::from_millis(100);
