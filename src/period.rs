//! Calendar periods in UTC, after which an allowance begins anew.

use crate::time::Timestamp;

words! {
    /// How long an allowance lasts. Periods are those of the calendar in UTC, whenever the licence was issued.
    pub enum Period {
        /// For good.
        Total = "total",
        /// From midnight on.
        Day = "day",
        /// From Monday on, as in ISO 8601.
        Week = "week",
        /// From the first on.
        Month = "month",
        /// From January 1 on.
        Year = "year",
    }
}

impl Period {
    /// The first second of the period that a moment lies in.
    pub fn start(self, moment: Timestamp) -> Timestamp {
        let (year, month, _) = moment.civil();
        match self {
            Self::Total => Timestamp::MIN,
            Self::Day => Timestamp::of_day(moment.day()),
            Self::Week => Timestamp::of_day(monday(moment.day())),
            Self::Month => Timestamp::of_civil(year, month, 1),
            Self::Year => Timestamp::of_civil(year, 1, 1),
        }
    }

    /// The first second after the period that a moment lies in; none where there is no other.
    pub fn end(self, moment: Timestamp) -> Option<Timestamp> {
        let (year, month, _) = moment.civil();
        match self {
            Self::Total => None,
            Self::Day => Some(Timestamp::of_day(moment.day() + 1)),
            Self::Week => Some(Timestamp::of_day(monday(moment.day()) + 7)),
            Self::Month if month == 12 => Some(Timestamp::of_civil(year + 1, 1, 1)),
            Self::Month => Some(Timestamp::of_civil(year, month + 1, 1)),
            Self::Year => Some(Timestamp::of_civil(year + 1, 1, 1)),
        }
    }
}

/// The Monday on or before a day.
const fn monday(day: i64) -> i64 {
    // 1970-01-01 was a Thursday: three days after a Monday.
    day - (day + 3).rem_euclid(7)
}

impl Default for Period {
    /// The one that gives the least.
    fn default() -> Self {
        Self::Total
    }
}
