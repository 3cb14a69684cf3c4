//! Slows down addresses that send wrong tokens, and tokens that guess (`guesses`).

use countersign::time::Timestamp;

use crate::limits::{FAILURES_FORGOTTEN_SECONDS, FREE_FAILURES, MAX_FAILURE_WAIT_SECONDS, MAX_REFUSED_ADDRESSES};
use crate::sql::db::{self, integer, moment, text};
use crate::wire::problem::{self, Problem};

const ADD: &str = "
    INSERT INTO refusals (client, failures, at) VALUES (?1, ?4, ?2)
    ON CONFLICT (client) DO UPDATE SET failures = CASE WHEN at <= ?3 THEN ?4 ELSE failures + ?4 END, at = ?2";

const OF_CLIENT: &str = "SELECT failures, at FROM refusals WHERE client = ?1";

/// A few rows at a time, the oldest first, as every failure adds at most one: those that are
/// forgotten, and those beyond the most that are remembered.
const FORGET: &str = "
    DELETE FROM refusals WHERE client IN (
        SELECT client FROM refusals
        WHERE at <= MAX(?1, COALESCE((SELECT at FROM refusals ORDER BY at DESC LIMIT 1 OFFSET ?2), ?1))
        ORDER BY at LIMIT 4)";

/// The failures of one address.
pub(super) struct Failures {
    pub(super) count: i64,
    pub(super) last: Timestamp,
}

impl Failures {
    /// Refuses the request while the address has to wait.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), Problem> {
        self.wait(now).map_or(Ok(()), |seconds| Err(problem::too_many_failures(seconds)))
    }

    /// The seconds that are left to wait.
    fn wait(&self, now: Timestamp) -> Option<u32> {
        let wait = wait_after(self.count.try_into().unwrap_or(u32::MAX));
        // The distance in either direction: a clock that goes back must not prolong the wait.
        let passed = now.unix().abs_diff(self.last.unix()).try_into().unwrap_or(u32::MAX);
        Some(wait.saturating_sub(passed)).filter(|seconds| *seconds > 0)
    }
}

/// The seconds that a client has to wait.
pub(super) fn wait_of(client: &str, now: Timestamp) -> Result<Option<u32>, Problem> {
    let Some(row) = db::query_one(OF_CLIENT, vec![text(client)])? else { return Ok(None) };
    Ok(Failures { count: row.integer(0)?, last: row.moment(1)? }.wait(now))
}

/// Counts failures of a client: a network, or a token's id.
pub(super) fn add_failures(client: &str, number: u32, now: Timestamp) -> Result<(), Problem> {
    let forgotten = moment(now.minus_seconds(FAILURES_FORGOTTEN_SECONDS));
    db::execute(ADD, vec![text(client), moment(now), forgotten.clone(), integer(number)])?;
    db::execute(FORGET, vec![forgotten, integer(MAX_REFUSED_ADDRESSES)]).map(drop)
}

/// The seconds that an address waits after this many failures.
fn wait_after(failures: u32) -> u32 {
    match failures.checked_sub(FREE_FAILURES) {
        None => 0,
        Some(more) => 1u32.checked_shl(more).unwrap_or(u32::MAX).min(MAX_FAILURE_WAIT_SECONDS),
    }
}

/// The network that counts as one address: of IPv6 the first 64 bits, as a provider gives all
/// addresses with these to one customer.
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
    fn an_ipv6_network_counts_as_one_address() {
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
