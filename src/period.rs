//! The periods of an allowance, after each of which it is reset.
//!
//! ```
//! # use countersign::{period::{Beginning, Period}, time::Timestamp};
//! let issued_at = Timestamp::parse("2026-01-31T09:00:00Z")?;
//! let now = Timestamp::parse("2026-03-01T00:00:00Z")?;
//! let ends_at = |beginning| Period::Month.from(beginning, Some(issued_at)).end(now).map(|end| end.to_string());
//! assert_eq!(ends_at(None).as_deref(), Some("2026-04-01T00:00:00Z"));
//! assert_eq!(ends_at(Some(Beginning::Day(15))).as_deref(), Some("2026-03-15T00:00:00Z"));
//! assert_eq!(ends_at(Some(Beginning::License)).as_deref(), Some("2026-03-31T09:00:00Z"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{
    span::{DAY, Span, WEEK},
    time::Timestamp,
};
use core::fmt;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// How often an allowance is reset.
///
/// Printed as its word, or as a duration of ISO 8601 such as `P3M`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    /// Never: `total`. The one that allows least.
    #[default]
    Total,
    /// Each `day`: from midnight in UTC, unless a [`Beginning`] says otherwise.
    Day,
    /// Each `week`: from Monday, as in ISO 8601.
    Week,
    /// Each `month`: from the first.
    Month,
    /// Each `year`: from 1 January.
    Year,
    /// Months, or days and shorter units, from the licence's start unless a [`Beginning`] says
    /// otherwise.
    Lasting(Span),
}

/// The text is not a valid [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `total`, `day`, `week`, `month`, `year`, or a duration of months or of days, such as 3mo, P1Y or 30d")]
pub struct PeriodError;

/// Where the periods of an allowance begin, if not where [`Period`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// At the licence's start: its issue, or its first use if its time begins with that.
    License,
    /// On a day of the month, from 1 to 31, at midnight in UTC; on the last day of a month that
    /// does not have it. The first period contains the licence's start.
    Day(u8),
}

/// The text or number is not a valid [`Beginning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `license` or a day of the month, from 1 to 31")]
pub struct BeginningError;

impl Period {
    const WORDS: [(Self, &str); 5] = [
        (Self::Total, "total"),
        (Self::Day, "day"),
        (Self::Week, "week"),
        (Self::Month, "month"),
        (Self::Year, "year"),
    ];

    /// Reads a word, or a [`Span`] of either months or seconds.
    ///
    /// # Errors
    ///
    /// [`PeriodError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, PeriodError> {
        if let Some((period, _)) = Self::WORDS.iter().find(|(_, word)| *word == text) {
            return Ok(*period);
        }
        // Of months and seconds together it would not be clear which end is meant.
        let span = Span::parse(text).ok().filter(|span| span.months() == 0 || span.seconds() == 0);
        span.map(Self::Lasting).ok_or(PeriodError)
    }

    /// How long a period is; `None` for [`Period::Total`].
    fn length(self) -> Option<Span> {
        match self {
            Self::Total => None,
            Self::Day => Span::of_seconds(DAY),
            Self::Week => Span::of_seconds(WEEK),
            Self::Month => Span::new(1, 0),
            Self::Year => Span::new(12, 0),
            Self::Lasting(span) => Some(span),
        }
    }

    /// Whether such periods can begin there.
    pub fn can_begin(self, beginning: Option<Beginning>) -> bool {
        match (self.length(), beginning) {
            (_, None) | (Some(_), Some(Beginning::License)) => true,
            (None, Some(_)) => false,
            (Some(length), Some(Beginning::Day(_))) => length.months() > 0,
        }
    }

    /// The periods of a licence that started then; `None` if its time has not begun.
    pub fn from(self, beginning: Option<Beginning>, started_at: Option<Timestamp>) -> Periods {
        let is_on_calendar = beginning.is_none() && !matches!(self, Self::Lasting(_));
        let Some(length) = self.length().filter(|_| !is_on_calendar) else { return Periods::Calendar(self) };
        let Some(start) = started_at else { return Periods::Calendar(Self::Total) };
        Periods::Counted(match beginning {
            Some(Beginning::Day(day)) => Series { first: start.midnight_on_or_before(day), day, length },
            _ => Series { first: start, day: start.day_of_month(), length },
        })
    }
}

/// The periods of an allowance of one licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Periods {
    /// Those of the calendar in UTC, whenever the licence started.
    Calendar(Period),
    /// Those that are counted from the licence's start.
    Counted(Series),
}

/// Periods of equal length. The first has no beginning, so what a licence uses before its time
/// begins counts as used in its first period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// From when the first is measured.
    first: Timestamp,
    /// The day of the month on which months end.
    day: u8,
    length: Span,
}

impl Periods {
    /// The first second of the period that the moment is in.
    pub fn start(self, moment: Timestamp) -> Timestamp {
        let (year, month, _) = moment.civil();
        match self {
            Self::Calendar(Period::Total | Period::Lasting(_)) => Timestamp::MIN,
            Self::Calendar(Period::Day) => Timestamp::of_day(moment.day()),
            Self::Calendar(Period::Week) => Timestamp::of_day(monday(moment.day())),
            Self::Calendar(Period::Month) => Timestamp::of_civil(year, month, 1),
            Self::Calendar(Period::Year) => Timestamp::of_civil(year, 1, 1),
            Self::Counted(series) => match series.passed(moment) {
                0 => Timestamp::MIN,
                count => series.end_of(count),
            },
        }
    }

    /// The first second after the period that the moment is in; `None` if there is only one.
    pub fn end(self, moment: Timestamp) -> Option<Timestamp> {
        let (year, month, _) = moment.civil();
        match self {
            Self::Calendar(Period::Total | Period::Lasting(_)) => None,
            Self::Calendar(Period::Day) => Some(Timestamp::of_day(moment.day() + 1)),
            Self::Calendar(Period::Week) => Some(Timestamp::of_day(monday(moment.day()) + 7)),
            Self::Calendar(Period::Month) if month == 12 => Some(Timestamp::of_civil(year + 1, 1, 1)),
            Self::Calendar(Period::Month) => Some(Timestamp::of_civil(year, month + 1, 1)),
            Self::Calendar(Period::Year) => Some(Timestamp::of_civil(year + 1, 1, 1)),
            Self::Counted(series) => Some(series.end_of(series.passed(moment) + 1)),
        }
    }
}

impl Series {
    /// The end of the period of this number, from 1. All are measured from the first, so that a
    /// short month does not move those after it.
    fn end_of(self, number: i64) -> Timestamp {
        match self.length.months() {
            0 => Timestamp::from_unix(self.first.unix() + number * i64::from(self.length.seconds())),
            months => self.first.plus_months(u32::try_from(number).unwrap_or(0).saturating_mul(months), self.day),
        }
    }

    /// How many periods have passed at a moment.
    fn passed(self, moment: Timestamp) -> i64 {
        let count = match self.length.months() {
            0 => (moment.unix() - self.first.unix()).div_euclid(self.length.seconds().into()),
            months => moment.months_since(self.first).div_euclid(months.into()),
        };
        // The one that ends in this month may not have ended yet.
        let is_ahead = count > 0 && self.end_of(count) > moment;
        (count - i64::from(is_ahead)).max(0)
    }
}

/// The Monday on or before a day.
const fn monday(day: i64) -> i64 {
    // 1970-01-01 was a Thursday: three days after a Monday.
    day - (day + 3).rem_euclid(7)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, Self::WORDS.iter().find(|(period, _)| period == self)) {
            (Self::Lasting(span), _) => span.fmt(f),
            (_, word) => f.write_str(word.map_or("", |(_, word)| word)),
        }
    }
}

text_form!(Period, PeriodError);

impl Beginning {
    /// Reads `license`, or the number of a day.
    ///
    /// # Errors
    ///
    /// [`BeginningError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, BeginningError> {
        match text {
            LICENSE => Ok(Self::License),
            _ => text.parse().map_err(|_| BeginningError).and_then(Self::on_day),
        }
    }

    fn on_day(day: u64) -> Result<Self, BeginningError> {
        u8::try_from(day).ok().filter(|day| (1..=31).contains(day)).map(Self::Day).ok_or(BeginningError)
    }
}

const LICENSE: &str = "license";

impl Serialize for Beginning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::License => serializer.serialize_str(LICENSE),
            Self::Day(day) => serializer.serialize_u8(*day),
        }
    }
}

impl<'de> Deserialize<'de> for Beginning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrDay)
    }
}

struct WordOrDay;

impl Visitor<'_> for WordOrDay {
    type Value = Beginning;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`license` or a day of the month")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Beginning, E> {
        if text == LICENSE { Ok(Beginning::License) } else { Err(E::custom(BeginningError)) }
    }

    fn visit_u64<E: Error>(self, day: u64) -> Result<Beginning, E> {
        Beginning::on_day(day).map_err(E::custom)
    }
}
