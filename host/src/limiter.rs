//! Counts the unknown keys of each address, in memory: see [`countersign::limiter`].

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

use countersign::limiter::{Failures, MAX_ADDRESSES, Network};
use countersign::time::Timestamp;

/// The failures of the last [`MAX_ADDRESSES`] addresses that failed.
///
/// They are forgotten by halves, the older half first, so that an address costs the same whether or
/// not the memory is full.
#[derive(Debug)]
pub struct Limiter {
    free: u32,
    halves: Mutex<Halves>,
}

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<Network, Failures>,
    old: HashMap<Network, Failures>,
}

impl Limiter {
    /// `free` is the number of failures after which an address has to wait after each; 0 for no
    /// wait at all.
    pub fn new(free: u32) -> Self {
        Self { free, halves: Mutex::default() }
    }

    /// Counts a failure, unless the address has to wait.
    ///
    /// # Errors
    /// The seconds that it has to wait.
    pub fn add_failure(&self, network: Network, now: Timestamp) -> Result<(), u32> {
        if self.free == 0 {
            return Ok(());
        }
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let before = halves.young.get(&network).or_else(|| halves.old.get(&network)).copied();
        match before.map_or(0, |before| before.wait(self.free, now)) {
            0 => {
                halves.insert(network, Failures::and_one_more(before, now));
                Ok(())
            }
            seconds => Err(seconds),
        }
    }
}

impl Halves {
    fn insert(&mut self, network: Network, failures: Failures) {
        if self.young.len() >= MAX_ADDRESSES as usize / 2 && !self.young.contains_key(&network) {
            self.old = mem::take(&mut self.young);
        }
        self.old.remove(&network);
        self.young.insert(network, failures);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_767_225_600);

    fn network(number: u32) -> Network {
        Network::of(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn an_address_waits_after_its_free_failures_and_no_other_does() {
        let limiter = Limiter::new(3);
        for _ in 0..3 {
            assert_eq!(limiter.add_failure(network(1), NOW), Ok(()));
        }
        for _ in 0..100 {
            assert_eq!(limiter.add_failure(network(1), NOW), Err(1), "a failure within the wait does not prolong it");
        }
        assert_eq!(limiter.add_failure(network(2), NOW), Ok(()));
        let later = NOW.plus_seconds(1);
        assert_eq!((limiter.add_failure(network(1), later), limiter.add_failure(network(1), later)), (Ok(()), Err(2)));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let limiter = Limiter::new(0);
        assert!((0..1_000).all(|_| limiter.add_failure(network(1), NOW).is_ok()));
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::new(1);
        for number in 0..3 * MAX_ADDRESSES {
            assert_eq!(limiter.add_failure(network(number), NOW), Ok(()));
            let halves = limiter.halves.lock().unwrap();
            assert!(halves.young.len() + halves.old.len() <= MAX_ADDRESSES as usize);
        }
        assert_eq!(limiter.add_failure(network(3 * MAX_ADDRESSES - 1), NOW), Err(1), "the latest are remembered");
        assert_eq!(limiter.add_failure(network(0), NOW), Ok(()), "the oldest are forgotten");
    }
}
