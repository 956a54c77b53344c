//! Days of the calendar, as documents and records carry them. Nothing here asks what day it is.

use std::fmt;
use std::str::FromStr;

use i247_model::Timestamp;

use crate::text::TextError;

const EXPECTED: &str = "a date YYYY-MM-DD between 1000 and 9999";
const MILLIS_A_DAY: u64 = 24 * 60 * 60 * 1000;

/// A day that the Gregorian calendar has, from the years 1000 to 9999. Written `2031-06-27`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The last day there is.
    pub const LAST: Self = Self { year: 9999, month: 12, day: 31 };

    /// The day, if the calendar has it.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let exists = (1000..=9999).contains(&year) && (1..=12).contains(&month);
        (exists && (1..=month_days(year, month)).contains(&day)).then_some(Self { year, month, day })
    }

    /// The day written as a number: 20310627.
    pub fn from_number(number: u32) -> Option<Self> {
        let year = u16::try_from(number / 10_000).ok()?;
        let month = u8::try_from(number / 100 % 100).ok()?;
        Self::new(year, month, u8::try_from(number % 100).ok()?)
    }

    /// The day as a number that keeps the order: 20310627.
    pub fn number(self) -> u32 {
        u32::from(self.year) * 10_000 + u32::from(self.month) * 100 + u32::from(self.day)
    }

    /// The day in UTC that this moment lies in.
    pub fn of(moment: Timestamp) -> Self {
        // Howard Hinnant's civil_from_days, for days from 1970 on; eras of 400 years that begin in March.
        let shifted = moment.as_millis() / MILLIS_A_DAY + 719_468;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = year_of_era + shifted / 146_097 * 400 + u64::from(month <= 2);
        let number = year.saturating_mul(10_000).saturating_add(month * 100 + day);
        u32::try_from(number).ok().and_then(Self::from_number).unwrap_or(Self::LAST)
    }

    /// The same day so many years later; the last of February for its 29th; the last day there is when that is past it.
    pub fn plus_years(self, years: u16) -> Self {
        let year = self.year.saturating_add(years);
        if year > 9999 {
            return Self::LAST;
        }
        Self { year, month: self.month, day: self.day.min(month_days(year, self.month)) }
    }

    /// The day after; the last day there is has none after it.
    pub fn next(self) -> Self {
        let Self { year, month, day } = self;
        Self::new(year, month, day + 1)
            .or_else(|| Self::new(year, month + 1, 1))
            .or_else(|| Self::new(year + 1, 1, 1))
            .unwrap_or(Self::LAST)
    }

    /// The year.
    pub fn year(self) -> u16 {
        self.year
    }

    /// The month, from 1.
    pub fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, from 1.
    pub fn day(self) -> u8 {
        self.day
    }
}

fn month_days(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

impl FromStr for Date {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let digits =
            |part: &str| part.parse::<u16>().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()));
        let parsed = || {
            let year = digits(text.get(0..4)?)?;
            let month = u8::try_from(digits(text.get(5..7)?)?).ok()?;
            let day = u8::try_from(digits(text.get(8..)?)?).ok()?;
            let shape = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
            if shape { Self::new(year, month, day) } else { None }
        };
        parsed().ok_or_else(|| TextError::new(text, EXPECTED))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn only_days_of_the_calendar_are_dates() {
        for text in ["2031-06-27", "2024-02-29", "2000-02-29", "1000-01-01", "9999-12-31"] {
            assert_eq!(date(text).to_string(), text);
        }
        for text in
            ["2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-04-31", "24-04-01", "0999-01-01"]
        {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        for text in
            ["", "2024-4-1", "2024/04/01", "2024-04-+1", "2024-04-011", "２０２４-01-01", "2024-04-01 "]
        {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_lies_in_its_day_of_utc() {
        assert_eq!(Date::of(Timestamp::from_millis(0)), date("1970-01-01"));
        assert_eq!(Date::of(Timestamp::from_millis(951_782_400_000)), date("2000-02-29"));
        assert_eq!(Date::of(Timestamp::from_millis(951_868_799_999)), date("2000-02-29"));
        assert_eq!(Date::of(Timestamp::from_millis(951_868_800_000)), date("2000-03-01"));
        assert_eq!(Date::of(Timestamp::from_millis(1_924_905_600_000)), date("2030-12-31"));
        assert_eq!(Date::of(Timestamp::from_millis(u64::MAX)), Date::LAST);
    }

    #[test]
    fn years_are_added_on_the_calendar() {
        assert_eq!(date("2024-02-29").plus_years(1), date("2025-02-28"));
        assert_eq!(date("2024-02-29").plus_years(4), date("2028-02-29"));
        assert_eq!(date("2026-11-22").plus_years(10), date("2036-11-22"));
        assert_eq!(date("9990-01-01").plus_years(99), Date::LAST);
    }

    #[test]
    fn the_next_day_may_be_that_of_another_month_or_year() {
        assert_eq!(date("2024-02-28").next(), date("2024-02-29"));
        assert_eq!(date("2024-02-29").next(), date("2024-03-01"));
        assert_eq!(date("2026-12-31").next(), date("2027-01-01"));
        assert_eq!(Date::LAST.next(), Date::LAST);
    }

    #[test]
    fn the_number_keeps_the_order() {
        assert_eq!(date("2031-06-27").number(), 20_310_627);
        assert_eq!(Date::from_number(20_310_627), Some(date("2031-06-27")));
        assert_eq!(Date::from_number(20_310_631), None);
        assert_eq!(Date::from_number(0), None);
        assert!(date("2031-06-27") < date("2031-07-01"));
    }
}
