//! Durations on the calendar: a month from 31 January ends on the last day of February.

use crate::time::Timestamp;
use core::fmt;

/// A duration of some months, and after them some seconds.
///
/// Printed by ISO 8601: `P1Y6M`, `P30D`, `PT12H`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    months: u32,
    seconds: u32,
}

/// The text is not a valid [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration such as 12h, 30d, 1mo or 1y, or by ISO 8601, such as P1M or P1Y6M")]
pub struct SpanError;

/// The units, in the order in which they follow each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

pub(crate) const WEEK: u32 = 7 * DAY;
pub(crate) const DAY: u32 = 86_400;
const HOUR: u32 = 3_600;
const MINUTE: u32 = 60;

impl Span {
    /// The longest: longer than the calendar.
    const MAX_MONTHS: u32 = 120_000;

    /// A duration of seconds, at least 1.
    pub fn of_seconds(seconds: u32) -> Option<Self> {
        Self::new(0, seconds)
    }

    /// A duration of months and seconds, at least one of which is not 0.
    pub fn new(months: u32, seconds: u32) -> Option<Self> {
        (months <= Self::MAX_MONTHS && (months, seconds) != (0, 0)).then_some(Self { months, seconds })
    }

    /// Its months. If there are none, it does not depend on the calendar.
    pub fn months(self) -> u32 {
        self.months
    }

    /// Its seconds, which follow the months.
    pub fn seconds(self) -> u32 {
        self.seconds
    }

    /// The moment so much later. In a month that has no such day it is the last one.
    pub fn after(self, start: Timestamp) -> Timestamp {
        self.after_on_day(start, start.day_of_month())
    }

    /// As [`after`](Self::after), where the months end on a day of the month that `start` may not
    /// have. So 31 January is followed by 28 February, and that by 31 March.
    pub fn after_on_day(self, start: Timestamp, day: u8) -> Timestamp {
        let months = if self.months == 0 { start } else { start.plus_months(self.months, day) };
        months.plus_seconds(self.seconds)
    }

    /// Both together, if that is not too long.
    pub fn plus(self, other: Self) -> Option<Self> {
        Self::new(self.months.checked_add(other.months)?, self.seconds.checked_add(other.seconds)?)
    }

    /// Reads numbers with units (`y`, `mo`, `w`, `d`, `h`, `m`, `s`), such as `1y` or `1d12h`; a
    /// number of seconds alone; or a duration of ISO 8601, such as `P1Y6M` or `PT12H`.
    ///
    /// # Errors
    ///
    /// [`SpanError`] for any other text, and for a duration of nothing or longer than some 10,000
    /// years of months or 136 years of seconds.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        let mut sum = (0_u32, 0_u32);
        let mut last = None;
        let (mut rest, is_iso) = match text.strip_prefix('P') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let mut is_time = false;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('T').filter(|after| is_iso && !is_time && !after.is_empty()) {
                (rest, is_time) = (after, true);
                continue;
            }
            let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
            let (unit, after) =
                after.split_at(after.find(|c: char| c.is_ascii_digit() || c == 'T').unwrap_or(after.len()));
            let unit =
                if is_iso { iso_unit(unit, is_time) } else { short_unit(unit, last.is_none() && after.is_empty()) };
            let unit = unit.filter(|unit| last.is_none_or(|last| last < *unit)).ok_or(SpanError)?;
            sum = add(sum, number.parse().map_err(|_| SpanError)?, unit).ok_or(SpanError)?;
            (rest, last) = (after, Some(unit));
        }
        Self::new(sum.0, sum.1).ok_or(SpanError)
    }
}

fn iso_unit(text: &str, is_time: bool) -> Option<Unit> {
    match (text, is_time) {
        ("Y", false) => Some(Unit::Year),
        ("M", false) => Some(Unit::Month),
        ("W", false) => Some(Unit::Week),
        ("D", false) => Some(Unit::Day),
        ("H", true) => Some(Unit::Hour),
        ("M", true) => Some(Unit::Minute),
        ("S", true) => Some(Unit::Second),
        _ => None,
    }
}

fn short_unit(text: &str, is_alone: bool) -> Option<Unit> {
    match text {
        "y" => Some(Unit::Year),
        "mo" => Some(Unit::Month),
        "w" => Some(Unit::Week),
        "d" => Some(Unit::Day),
        "h" => Some(Unit::Hour),
        "m" => Some(Unit::Minute),
        "s" => Some(Unit::Second),
        "" if is_alone => Some(Unit::Second),
        _ => None,
    }
}

fn add((months, seconds): (u32, u32), number: u32, unit: Unit) -> Option<(u32, u32)> {
    let (of_months, of_seconds) = match unit {
        Unit::Year => (12, 0),
        Unit::Month => (1, 0),
        Unit::Week => (0, WEEK),
        Unit::Day => (0, DAY),
        Unit::Hour => (0, HOUR),
        Unit::Minute => (0, MINUTE),
        Unit::Second => (0, 1),
    };
    let months = months.checked_add(number.checked_mul(of_months)?)?;
    Some((months, seconds.checked_add(number.checked_mul(of_seconds)?)?))
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { months, seconds } = *self;
        f.write_str("P")?;
        write_parts(f, [(months / 12, 'Y'), (months % 12, 'M'), (seconds / DAY, 'D')])?;
        match seconds % DAY {
            0 => Ok(()),
            time => {
                f.write_str("T")?;
                write_parts(f, [(time / HOUR, 'H'), (time % HOUR / MINUTE, 'M'), (time % MINUTE, 'S')])
            }
        }
    }
}

fn write_parts(f: &mut fmt::Formatter<'_>, parts: [(u32, char); 3]) -> fmt::Result {
    parts.iter().filter(|(number, _)| *number > 0).try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
}

text_form!(Span, SpanError);
