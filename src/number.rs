//! Numbers in sentences.

use core::fmt;

/// A number with a comma between thousands: `1,000,000`.
///
/// Sentences derive their numbers from the constants of [`limits`](crate::limits):
///
/// ```
/// use countersign::{limits::MAX_DOMAINS, number::Grouped};
///
/// assert_eq!(format!("must be from 1 to {}", Grouped(MAX_DOMAINS as u64)), "must be from 1 to 1,000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            number @ 0..1_000 => write!(f, "{number}"),
            number => write!(f, "{},{:03}", Self(number / 1_000), number % 1_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn thousands_are_set_apart_by_commas() {
        let numbers = [(0, "0"), (999, "999"), (1_000, "1,000"), (65_536, "65,536"), (1_000_000_007, "1,000,000,007")];
        for (number, text) in numbers {
            assert_eq!(Grouped(number).to_string(), text);
        }
    }
}
