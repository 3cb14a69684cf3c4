//! Slows down addresses that send wrong tokens.

use countersign::time::Timestamp;

use crate::limits::{FAILURES_FORGOTTEN_SECONDS, FREE_FAILURES, MAX_FAILURE_WAIT_SECONDS};
use crate::sql::db::{self, Row, moment, text};
use crate::wire::problem::Problem;

pub(super) fn check_wait(row: &Row, now: Timestamp) -> Result<(), Problem> {
    let (Some(failures), Some(at)) = (row.optional_integer(7)?, row.optional_moment(8)?) else { return Ok(()) };
    let wait = wait_after(failures.try_into().unwrap_or(u32::MAX));
    // A clock that went back makes nobody wait for longer.
    let passed = now.unix().abs_diff(at.unix()).try_into().unwrap_or(u32::MAX);
    match wait.saturating_sub(passed) {
        0 => Ok(()),
        seconds => Err(Problem::TooManyFailures { seconds }),
    }
}

/// How many seconds an address waits after so many wrong tokens.
fn wait_after(failures: u32) -> u32 {
    match failures.checked_sub(FREE_FAILURES) {
        None => 0,
        Some(more) => 1u32.checked_shl(more).unwrap_or(u32::MAX).min(MAX_FAILURE_WAIT_SECONDS),
    }
}

pub(super) fn note_failure(client: &str, now: Timestamp) -> Result<(), Problem> {
    let forgotten = moment(now.minus_seconds(FAILURES_FORGOTTEN_SECONDS));
    let note = "
        INSERT INTO refusals (client, failures, at) VALUES (?1, 1, ?2)
        ON CONFLICT (client) DO UPDATE SET failures = CASE WHEN at <= ?3 THEN 1 ELSE failures + 1 END, at = ?2";
    db::execute(note, vec![text(client), moment(now), forgotten.clone()])?;
    let forget = "DELETE FROM refusals WHERE client IN (SELECT client FROM refusals WHERE at <= ?1 LIMIT 4)";
    db::execute(forget, vec![forgotten]).map(drop)
}

/// What counts as one address: of IPv6 the first 64 bits, all of which one customer of a provider has.
pub(super) fn network(client: &str) -> String {
    match client.parse() {
        Ok(std::net::IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::")
        }
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => client.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let waits = [0, 9, 10, 11, 12, 15, 16, 17, 50, u32::MAX].map(wait_after);
        assert_eq!(waits, [0, 0, 1, 2, 4, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn an_address_is_a_network_of_one_customer() {
        for (client, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("a name", "a name"),
        ] {
            assert_eq!(network(client), expected);
        }
    }
}
