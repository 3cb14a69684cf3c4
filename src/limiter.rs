//! How addresses that guess are slowed: those that send wrong tokens or unknown keys.
//!
//! A right token or key is let in at once, whatever else its address sends: behind a proxy or a NAT
//! many callers share one, and none of them may lock out the others. So a guess is slowed, and
//! noticed, but not prevented: that is what long tokens and keys are for.
//!
//! The registrar counts wrong tokens in its database, and the native host unknown keys in memory.
//! Both follow this policy.

use crate::time::Timestamp;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

/// Wrong tokens that an address may send before it has to wait after each.
pub const FREE_TOKENS: u32 = 10;

/// Unknown keys that an address may send before it has to wait after each. More than tokens, as
/// many customers may share an address, and a program repeats the key that it has.
pub const FREE_KEYS: u32 = 100;

/// The longest wait after a failure, in seconds. The first wait is one second, and each further one
/// is twice as long.
pub const MAX_WAIT_SECONDS: u32 = 60;

/// Seconds without a failure after which the failures of an address are forgotten.
pub const FORGOTTEN_SECONDS: u32 = 900;

/// Addresses whose failures are remembered. Beyond them, the oldest are forgotten.
pub const MAX_ADDRESSES: u32 = 10_000;

/// The addresses that count as one: an IPv4 address, or of IPv6 all with the same first 64 bits, as
/// a provider gives these to one customer.
///
/// It is written so that an operator can block it: `192.0.2.1`, `2001:db8:1:2::/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

/// The failures of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many there were, without those during a wait.
    pub count: u32,
    /// When the last one was.
    pub last: Timestamp,
}

impl Network {
    /// The network of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            address => Self(address),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

impl Failures {
    /// The seconds that are left of the wait after the last failure. `free` failures have none.
    pub fn wait(&self, free: u32, now: Timestamp) -> u32 {
        let wait = match self.count.checked_sub(free) {
            None => 0,
            Some(more) => 1u32.checked_shl(more).unwrap_or(u32::MAX).min(MAX_WAIT_SECONDS),
        };
        wait.saturating_sub(self.age(now))
    }

    /// With one more failure now. [Forgotten](FORGOTTEN_SECONDS) ones do not count.
    #[must_use]
    pub fn and_one_more(before: Option<Self>, now: Timestamp) -> Self {
        let before = before.filter(|before| before.age(now) < FORGOTTEN_SECONDS);
        Self { count: before.map_or(0, |before| before.count).saturating_add(1), last: now }
    }

    /// The distance in either direction: a clock that goes back must not prolong a wait.
    fn age(&self, now: Timestamp) -> u32 {
        now.unix().abs_diff(self.last.unix()).try_into().unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    const NOW: Timestamp = Timestamp::from_unix(1_767_225_600);

    #[test]
    fn waits_double_up_to_a_minute() {
        let wait = |count| Failures { count, last: NOW }.wait(10, NOW);
        let waits = [0, 9, 10, 11, 12, 15, 16, 17, 50, u32::MAX].map(wait);
        assert_eq!(waits, [0, 0, 1, 2, 4, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn a_wait_passes_whichever_way_the_clock_goes() {
        let failures = Failures { count: 12, last: NOW };
        assert_eq!(failures.wait(10, NOW.plus_seconds(1)), 3);
        assert_eq!(failures.wait(10, NOW.plus_seconds(4)), 0);
        assert_eq!(failures.wait(10, NOW.minus_seconds(4)), 0);
    }

    #[test]
    fn failures_are_forgotten_after_a_quarter_of_an_hour() {
        let once = Failures::and_one_more(None, NOW);
        assert_eq!(once, Failures { count: 1, last: NOW });
        let soon = NOW.plus_seconds(FORGOTTEN_SECONDS - 1);
        assert_eq!(Failures::and_one_more(Some(once), soon).count, 2);
        let late = NOW.plus_seconds(FORGOTTEN_SECONDS);
        assert_eq!(Failures::and_one_more(Some(once), late).count, 1);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        for (client, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(Network::of(client.parse().unwrap()).to_string(), expected);
        }
    }
}
