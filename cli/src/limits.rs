//! Every bound of the command line, in one place. Bounds of the protocol and of stored data are the
//! core's, in [`countersign::limits`].

use std::time::Duration;

/// How often the command line sends a request that ended without an answer, the first time included.
pub(crate) const API_ATTEMPTS: u32 = 4;

/// How long the command line waits before it sends a request again; twice as long each further time.
pub(crate) const API_FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Requests of one import that are under way at once to a server.
pub(crate) const REMOTE_CONCURRENCY: usize = 4;

/// The same in this process: mostly they wait for the disk, which takes as long for what several write as for what one does.
pub(crate) const LOCAL_CONCURRENCY: usize = 4;

/// How long the command line waits for a connection to a server.
pub(crate) const API_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the command line waits for a whole answer. Above what a server takes at most for one, so that it is the server who says so.
pub(crate) const API_ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of an answer that the command line takes: 500 exported licences of the largest size.
pub(crate) const MAX_API_ANSWER_BYTES: u64 = 500 * 2 * countersign::limits::MAX_VALUE_BYTES as u64;

/// Items that the command line asks for at a time: as many as the API gives.
pub(crate) const API_PAGE: u32 = 100;

/// Licences that the command line asks for at a time to export or to compare: as many as the API takes.
pub(crate) const API_BULK_PAGE: u32 = 500;

/// Lines of one request of an import: as many as the API takes.
pub(crate) const IMPORT_LINES: usize = 500;

/// Bytes of a file with one token in it.
pub(crate) const MAX_TOKEN_BYTES: u64 = 4 * 1024;

/// Bytes of the file of profiles.
pub(crate) const MAX_PROFILES_BYTES: u64 = 256 * 1024;
