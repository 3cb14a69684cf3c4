//! Moments, to the second, written as in RFC 3339.

use core::{fmt, str::FromStr};

/// A moment in whole seconds since 1970-01-01T00:00:00Z, in the years 0000 to 9999 that RFC 3339
/// can write.
///
/// Printed as `2030-01-01T00:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text is not a valid moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// It does not have the form `2030-01-01T00:00:00Z`.
    #[error("must be RFC 3339, such as 2030-01-01T00:00:00Z")]
    Form,
    /// Its day or time does not exist, or is outside the years 0000 to 9999 in UTC.
    #[error("must be a day and time that exist, in the years 0000 to 9999 (UTC)")]
    Range,
}

const DAY: i64 = 86_400;

impl Timestamp {
    /// 0000-01-01T00:00:00Z, the first moment that can be written.
    pub const MIN: Self = Self(-719_528 * DAY);
    /// 9999-12-31T23:59:59Z, the last moment that can be written.
    pub const MAX: Self = Self(2_932_897 * DAY - 1);

    /// The moment `seconds` after 1970-01-01T00:00:00Z, clamped to [`MIN`](Self::MIN) to
    /// [`MAX`](Self::MAX).
    pub const fn from_unix(seconds: i64) -> Self {
        if seconds < Self::MIN.0 {
            Self::MIN
        } else if seconds > Self::MAX.0 {
            Self::MAX
        } else {
            Self(seconds)
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z, negative before it.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// The moment `seconds` later, at most [`MAX`](Self::MAX).
    pub const fn plus_seconds(self, seconds: u32) -> Self {
        Self::from_unix(self.0 + seconds as i64)
    }

    /// The moment `seconds` earlier, at least [`MIN`](Self::MIN).
    pub const fn minus_seconds(self, seconds: u32) -> Self {
        Self::from_unix(self.0 - seconds as i64)
    }

    /// The day of the month, from 1.
    pub fn day_of_month(self) -> u8 {
        let (_, _, day) = self.civil();
        day as u8
    }

    /// The same time of day some months later, on a day of the month, or on the month's last day if
    /// it has no such day; at most [`MAX`](Self::MAX).
    pub fn plus_months(self, months: u32, day: u8) -> Self {
        let (year, month, _) = self.civil();
        let month = year * 12 + month - 1 + i64::from(months);
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let day = i64::from(day).min(days_in_month(year, month));
        Self::from_unix(days_from_civil(year, month, day) * DAY + self.0.rem_euclid(DAY))
    }

    /// The last midnight on or before the moment that begins a day of the month, or the month's
    /// last day if it has no such day.
    pub(crate) fn midnight_on_or_before(self, day: u8) -> Self {
        let (year, month, today) = self.civil();
        let in_month = |year, month| days_from_civil(year, month, i64::from(day).min(days_in_month(year, month)));
        let begun = in_month(year, month);
        Self::of_day(match (begun > days_from_civil(year, month, today), month) {
            (false, _) => begun,
            (true, 1) => in_month(year - 1, 12),
            (true, _) => in_month(year, month - 1),
        })
    }

    /// How many months its month is after that of another moment.
    pub(crate) fn months_since(self, other: Self) -> i64 {
        let month = |moment: Self| {
            let (year, month, _) = moment.civil();
            year * 12 + month
        };
        month(self) - month(other)
    }

    /// The moment's day, counted from 1970-01-01.
    pub(crate) const fn day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// The first second of a day counted from 1970-01-01.
    pub(crate) const fn of_day(day: i64) -> Self {
        Self::from_unix(day * DAY)
    }

    /// Year, month and day.
    pub(crate) fn civil(self) -> (i64, i64, i64) {
        civil_from_days(self.day())
    }

    /// The first second of a day that exists.
    pub(crate) fn of_civil(year: i64, month: i64, day: i64) -> Self {
        Self::of_day(days_from_civil(year, month, day))
    }

    /// Reads a `date-time` of RFC 3339 section 5.6 with any offset. A fraction of a second is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`TimeError`] if the text is not a `date-time`, or the day or time does not exist. A leap
    /// second (`:60`) is refused: seconds since 1970 do not count it.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let mut rest = Digits(text.as_bytes());
        let date = rest.date()?;
        rest.one_of(b"Tt")?;
        let (hour, minute) = rest.hour_and_minute()?;
        rest.one_of(b":")?;
        let second = rest.number(2)?;
        if rest.one_of(b".").is_ok() {
            rest.number(1)?;
            while rest.number(1).is_ok() {}
        }
        let offset = rest.offset()?;
        rest.end()?;
        if second > 59 {
            return Err(TimeError::Range);
        }
        let seconds = date + hour * 3_600 + minute * 60 + second - offset;
        if (Self::MIN.0..=Self::MAX.0).contains(&seconds) { Ok(Self(seconds)) } else { Err(TimeError::Range) }
    }

    /// Reads the first second of something: what [`Timestamp::parse`] reads, or a `full-date` such
    /// as `2030-01-01`, which is its own first second. That is in UTC, unless the date has an
    /// offset: `2030-01-01+02:00`.
    ///
    /// # Errors
    ///
    /// Those of [`Timestamp::parse`].
    pub fn parse_start(text: &str) -> Result<Self, TimeError> {
        match first_second(text) {
            Some(second) => Ok(Self::from_unix(second?)),
            None => Self::parse(text),
        }
    }

    /// Reads the first second after something: what [`Timestamp::parse`] reads, or a `full-date` as
    /// [`parse_start`](Self::parse_start) does. A date includes its whole day, so the end is the
    /// first second of the next one.
    ///
    /// # Errors
    ///
    /// Those of [`Timestamp::parse`].
    pub fn parse_end(text: &str) -> Result<Self, TimeError> {
        match first_second(text) {
            Some(second) => Ok(Self::from_unix(second? + DAY)),
            None => Self::parse(text),
        }
    }
}

/// The first second of a date alone, in UTC or at its offset. `None` if the text is not only a
/// date.
fn first_second(text: &str) -> Option<Result<i64, TimeError>> {
    let mut rest = Digits(text.as_bytes());
    let date = match rest.date() {
        Ok(date) => date,
        Err(error) => return Some(Err(error)),
    };
    let offset = if rest.end().is_ok() { 0 } else { rest.offset().ok()? };
    rest.end().ok()?;
    Some(Ok(date - offset))
}

/// A moment that is read by [`Timestamp::parse_start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start(pub Timestamp);

impl FromStr for Start {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        Timestamp::parse_start(text).map(Self)
    }
}

/// A moment that is read by [`Timestamp::parse_end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End(pub Timestamp);

impl FromStr for End {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        Timestamp::parse_end(text).map(Self)
    }
}

/// The bytes of a text that are not read yet.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// A `full-date`, as the seconds from 1970-01-01 to its beginning.
    fn date(&mut self) -> Result<i64, TimeError> {
        let year = self.number(4)?;
        self.one_of(b"-")?;
        let month = self.number(2)?;
        self.one_of(b"-")?;
        let day = self.number(2)?;
        if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
            return Err(TimeError::Range);
        }
        Ok(days_from_civil(year, month, day) * DAY)
    }

    fn hour_and_minute(&mut self) -> Result<(i64, i64), TimeError> {
        let hour = self.number(2)?;
        self.one_of(b":")?;
        let minute = self.number(2)?;
        if hour > 23 || minute > 59 { Err(TimeError::Range) } else { Ok((hour, minute)) }
    }

    /// A `time-offset`, in seconds to the east.
    fn offset(&mut self) -> Result<i64, TimeError> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Ok(0),
        };
        let (hour, minute) = self.hour_and_minute()?;
        Ok(sign * (hour * 3_600 + minute * 60))
    }

    fn number(&mut self, digits: usize) -> Result<i64, TimeError> {
        let (number, rest) = self.0.split_at_checked(digits).ok_or(TimeError::Form)?;
        let mut value = 0;
        for digit in number {
            if !digit.is_ascii_digit() {
                return Err(TimeError::Form);
            }
            value = value * 10 + i64::from(digit - b'0');
        }
        self.0 = rest;
        Ok(value)
    }

    fn one_of(&mut self, bytes: &[u8]) -> Result<u8, TimeError> {
        let (first, rest) = self.0.split_first().ok_or(TimeError::Form)?;
        if !bytes.contains(first) {
            return Err(TimeError::Form);
        }
        self.0 = rest;
        Ok(*first)
    }

    fn end(&self) -> Result<(), TimeError> {
        if self.0.is_empty() { Ok(()) } else { Err(TimeError::Form) }
    }
}

impl Timestamp {
    /// The ASCII bytes of the printed form. Every answer and event has some, and `write!` would
    /// take ten times as long.
    fn text(self) -> [u8; 20] {
        let (year, month, day) = self.civil();
        let second = self.0.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let mut text = *b"0000-00-00T00:00:00Z";
        let fields = [(0..4, year), (5..7, month), (8..10, day), (11..13, hour), (14..16, minute), (17..19, second)];
        for (field, mut number) in fields {
            for digit in text[field].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(&self.text()))
    }
}

fn ascii(text: &[u8]) -> &str {
    core::str::from_utf8(text).unwrap_or_default()
}

text_form!(Timestamp, TimeError, |time| ascii(&time.text()));

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Days of the proleptic Gregorian calendar. Years begin in March here, so that a leap day is the
// last of its year and the number of days before a month is linear: (153 * month + 2) / 5. An era
// of 400 years has 146,097 days. From 0000-03-01 to 1970-01-01 there are 719,468 days.

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}
