//! Every bound of the host, in one place. Bounds of the protocol and of stored data are the core's, in
//! [`countersign::limits`].

use std::time::Duration;

/// Connections served at once; further ones wait in the kernel's queue. Below the usual soft limit of 1,024 open files.
pub const MAX_CONNECTIONS: usize = 900;

/// Bytes of a request's line and headers together. What nginx takes with its defaults is 32 KiB, for browsers with large
/// cookies; programs that ask for a licence send a few hundred bytes. hyper's own floor is 8 KiB.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Headers of a request.
pub const MAX_HEADERS: usize = 64;

/// From the first wait for a request on a connection to the end of its headers: bounds idle connections and slow senders.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long sent bytes may stay unacknowledged before the kernel drops the connection (`TCP_USER_TIMEOUT`): bounds a client that
/// does not read its answers.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// After an answer that ends a connection, how long and how much of what the client still sends is thrown away, so that
/// closing does not reset the connection before the client has read the answer (RFC 9112, section 9.6).
pub const LINGER: Duration = Duration::from_secs(1);
/// See [`LINGER`].
pub const LINGER_BYTES: u64 = 1024 * 1024;

/// From a signal to stop until requests in flight are cut off.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What a guest may take to answer one request, unless the operator says otherwise.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(1);

/// What the registrar may take to answer one request: an import of 500 lines has some thousand statements.
pub const REGISTRAR_DEADLINE: Duration = Duration::from_secs(10);

/// How long a guest computes before it gives way to others. A validation takes some 20 microseconds.
pub const EPOCH_TICK: Duration = Duration::from_millis(5);

/// Ticks that a call may be interrupted by before it is slow, and computes in turn with the others that are.
pub const FAST_TICKS: u32 = 10;

/// Instances at once. More than [`MAX_CONNECTIONS`], each of which has one request at a time.
pub const MAX_INSTANCES: u32 = 1_000;

/// Core instances, memories and tables of all instances together, for each instance.
pub const CORE_INSTANCES_PER_INSTANCE: u32 = 8;

/// Linear memory of one instance. A request holds a body of 64 KiB and one record; the rest is stack, data and headroom.
pub const MAX_GUEST_MEMORY: usize = 16 * 1024 * 1024;

/// The same of the registrar, which holds 500 licences, of a table or of a body, with all that is changed and told of them.
pub const MAX_REGISTRAR_MEMORY: usize = 64 * 1024 * 1024;

/// Requests of vendors served at once; further ones wait for their turn within their deadline.
pub const REGISTRAR_CALLS: usize = 32;

/// Linear memory that stays mapped for the next instance in a place: all that validations touch.
pub const RESIDENT_MEMORY: usize = 2 * 1024 * 1024;

/// The same of a table of functions, whose entries have 8 bytes each.
pub const RESIDENT_TABLE: usize = 64 * 1024;

/// Calls to one instance before it is replaced: bounds what a leak can gather, and spreads the cost of a start thin.
pub const CALLS_PER_INSTANCE: u32 = 10_000;

/// Instances of the validator kept warm between requests; more are made while more requests run at once.
pub const WARM_INSTANCES: usize = 64;

/// The same of the registrar: each keeps the memory that its largest request took.
pub const WARM_REGISTRARS: usize = 4;

/// Database connections kept open between store calls.
pub const WARM_CONNECTIONS: usize = 16;

/// Bytes of rows kept in memory, with [`ROW_OVERHEAD`] for each: some 50,000 licences of the usual 300 bytes.
pub const MAX_ROW_BYTES: usize = 32 * 1024 * 1024;

/// What a kept row takes besides its key and value: allocations, its share of the table, and the state that it is of.
pub const ROW_OVERHEAD: usize = 256;

/// Writes that are committed together, and that wait for the next commit: 16 MiB at most. Further ones wait in their requests.
pub const WRITES_PER_COMMIT: usize = 128;

/// How long a store call of a request waits for another writer. Below [`REQUEST_DEADLINE`].
pub const SERVE_BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a call of the registrar's database waits, for its turn in this process and then for another process. Both together are
/// below [`REGISTRAR_DEADLINE`].
pub const SQL_BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// What the statements of one call may take together. Below [`REGISTRAR_DEADLINE`].
pub const SQL_DEADLINE: Duration = Duration::from_secs(5);

/// Connections to the registrar's database that read at the same time.
pub const SQL_READERS: usize = 8;

/// Prepared statements that each connection keeps: more than the registrar has.
pub const SQL_STATEMENTS: usize = 256;

/// Bytes of all values that one statement may return, with [`SQL_VALUE_OVERHEAD`] for each. Below [`MAX_REGISTRAR_MEMORY`].
pub const MAX_SQL_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What a value takes besides its bytes.
pub const SQL_VALUE_OVERHEAD: usize = 32;

/// How long a command waits for another writer.
pub const COMMAND_BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Keys that a command lists at a time.
pub const LIST_PAGE: u32 = countersign::limits::MAX_LIST_KEYS;

/// Events that wait for the journal's writer; further ones are dropped and counted. At most 32 MiB.
pub const JOURNAL_QUEUE: usize = 8_192;

/// How long the journal's writer rests after it has caught up: what an event may be late by. A full queue takes 1.6 million events
/// a second with it.
pub const JOURNAL_PAUSE: Duration = Duration::from_millis(5);

/// How long a stop waits for the journal's writer.
pub const JOURNAL_FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Licences whose validations are counted between two times that the registrar is told; those of further ones count as lost.
pub const MAX_COUNTED_LICENSES: usize = 100_000;

/// Counts that the registrar is told in one request: what it takes.
pub const COUNTS_PER_REQUEST: usize = 500;

/// Between two times that the registrar is told of validations.
pub const COUNTS_PAUSE: Duration = Duration::from_secs(5);

/// Between two deliveries of the outbox while something is in it, and after a request that may have put something there.
pub const OUTBOX_PAUSE: Duration = Duration::from_secs(1);

/// The most that the pause grows to while the store fails, and the pause while nothing is known to be in the outbox: another process may
/// have left something there.
pub const MAX_OUTBOX_PAUSE: Duration = Duration::from_secs(30);
