//! Calendar periods in UTC, after which an allowance is reset.

use crate::time::Timestamp;

words! {
    /// How often an allowance is reset. Periods follow the calendar in UTC, whenever the licence
    /// was issued.
    pub enum Period {
        /// Never.
        Total = "total",
        /// At midnight.
        Day = "day",
        /// On Monday, as in ISO 8601.
        Week = "week",
        /// On the first.
        Month = "month",
        /// On 1 January.
        Year = "year",
    }
}

impl Period {
    /// The first second of the period that the moment is in.
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

    /// The first second after the period that the moment is in; `None` for [`Period::Total`].
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
    /// The one that allows least.
    fn default() -> Self {
        Self::Total
    }
}
