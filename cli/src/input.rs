//! What a command reads besides its words: standard input and the clock.

use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use countersign::limits::MAX_KEY_BYTES;
use countersign::time::Timestamp;

use crate::error::CommandError;

/// What was given, or the first line of standard input in place of `-`.
pub(crate) fn given_or_stdin(given: String) -> Result<String, CommandError> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    // One more than a longest key and its line's end, so that one that is too long is seen to be.
    io::stdin().take(MAX_KEY_BYTES as u64 + 3).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
