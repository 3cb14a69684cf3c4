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
            // 1970-01-01 was a Thursday: three days after a Monday.
            Self::Week => Timestamp::of_day(moment.day() - (moment.day() + 3).rem_euclid(7)),
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
            Self::Week => Some(Timestamp::of_day(self.start(moment).day() + 7)),
            Self::Month if month == 12 => Some(Timestamp::of_civil(year + 1, 1, 1)),
            Self::Month => Some(Timestamp::of_civil(year, month + 1, 1)),
            Self::Year => Some(Timestamp::of_civil(year + 1, 1, 1)),
        }
    }
}

impl Default for Period {
    /// The one that gives the least.
    fn default() -> Self {
        Self::Total
    }
}
