//! Input besides options: standard input and the clock.

use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use countersign::limits::MAX_KEY_BYTES;
use countersign::time::Timestamp;

use crate::error::CommandError;

/// The value of an argument; for `-` the first line of standard input.
pub(crate) fn given_or_stdin(given: String) -> Result<String, CommandError> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    // A byte more than the longest key with CRLF: a key that is too long must not pass by being
    // cut.
    io::stdin().take(MAX_KEY_BYTES as u64 + 3).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The time, in whole seconds.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
