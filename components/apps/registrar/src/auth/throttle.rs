//! Counts the wrong tokens of each address, and the guesses of each token (`guesses`), in the
//! database: see [`countersign::limiter`].

use std::net::IpAddr;

use countersign::limiter::{FORGOTTEN_SECONDS, FREE_TOKENS, Failures, MAX_ADDRESSES, Network};
use countersign::time::Timestamp;

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

/// Refuses the request of a client with this number of failures while it has to wait.
pub(super) fn check(count: i64, last: Timestamp, now: Timestamp) -> Result<(), Problem> {
    wait(count, last, now).map_or(Ok(()), |seconds| Err(problem::too_many_failures(seconds)))
}

/// The seconds that a client has to wait.
pub(super) fn wait_of(client: &str, now: Timestamp) -> Result<Option<u32>, Problem> {
    let Some(row) = db::query_one(OF_CLIENT, vec![text(client)])? else { return Ok(None) };
    Ok(wait(row.integer(0)?, row.moment(1)?, now))
}

/// Counts failures of a client: an address as it is counted, or a token's id.
pub(super) fn add_failures(client: &str, number: u32, now: Timestamp) -> Result<(), Problem> {
    let forgotten = moment(now.minus_seconds(FORGOTTEN_SECONDS));
    db::execute(ADD, vec![text(client), moment(now), forgotten.clone(), integer(number)])?;
    db::execute(FORGET, vec![forgotten, integer(MAX_ADDRESSES)]).map(drop)
}

/// The address as it is counted. Some hosts may name a client in another way.
pub(crate) fn counted(client: &str) -> String {
    client.parse::<IpAddr>().map_or_else(|_| client.into(), |address| Network::of(address).to_string())
}

fn wait(count: i64, last: Timestamp, now: Timestamp) -> Option<u32> {
    let failures = Failures { count: count.try_into().unwrap_or(u32::MAX), last };
    Some(failures.wait(FREE_TOKENS, now)).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_by_its_network() {
        for (client, expected) in
            [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("a name", "a name")]
        {
            assert_eq!(counted(client), expected);
        }
    }
}
