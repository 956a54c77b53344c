//! When somebody was born, as far as it is known, and how two such statements agree.
//!
//! A birth is the first and the last day that it can have been: one day, a month, a year, or years between which an
//! age lies. What an agreement takes from a score stands here; what is made of it, in `compare`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::date::Date;

/// Most years that a birth may lie between.
pub const BIRTH_YEARS_MAX: u16 = 30;

/// A birth, as a record or a question knows it: between two days, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    // Days as numbers that keep the order, 19750312.
    first: u32,
    last: u32,
}

/// Two days that are not the bounds of a birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BirthError {
    /// The last day is before the first.
    #[error("the last day is before the first")]
    Reversed,
    /// They are more than [`BIRTH_YEARS_MAX`] years apart.
    #[error("a birth lies within {BIRTH_YEARS_MAX} years")]
    TooWide,
    /// The calendar has no such year or month.
    #[error("no such year or month")]
    NoSuchTime,
}

impl Birth {
    /// Born on this day.
    pub fn on(day: Date) -> Self {
        Self { first: day.number(), last: day.number() }
    }

    /// Born in this year.
    ///
    /// # Errors
    /// [`BirthError::NoSuchTime`] outside the years 1000 to 9999.
    pub fn in_year(year: u16) -> Result<Self, BirthError> {
        let first = Date::new(year, 1, 1).ok_or(BirthError::NoSuchTime)?;
        Ok(Self { first: first.number(), last: first.number() + 1130 })
    }

    /// Born in this month.
    ///
    /// # Errors
    /// [`BirthError::NoSuchTime`] if the calendar has no such month.
    pub fn in_month(year: u16, month: u8) -> Result<Self, BirthError> {
        let first = Date::new(year, month, 1).ok_or(BirthError::NoSuchTime)?;
        Ok(Self { first: first.number(), last: first.number() + 30 })
    }

    /// Born between these two days, both included.
    ///
    /// # Errors
    /// If the days are reversed, or more than [`BIRTH_YEARS_MAX`] years apart.
    pub fn between(first: Date, last: Date) -> Result<Self, BirthError> {
        if last < first {
            return Err(BirthError::Reversed);
        }
        if last > first.plus_years(BIRTH_YEARS_MAX) {
            return Err(BirthError::TooWide);
        }
        Ok(Self { first: first.number(), last: last.number() })
    }

    /// Aged between these two numbers of years on a day: the window of years in which the birth lies.
    ///
    /// # Errors
    /// As [`Birth::between`]; and [`BirthError::NoSuchTime`] if the window begins before the calendar does.
    pub fn aged(from: u16, to: u16, on: Date) -> Result<Self, BirthError> {
        let first = on.year().checked_sub(to.saturating_add(1)).and_then(|year| Date::new(year, 1, 1));
        let last = on.year().checked_sub(from).and_then(|year| Date::new(year, 12, 31));
        let (Some(first), Some(last)) = (first, last) else { return Err(BirthError::NoSuchTime) };
        Self::between(first, last)
    }

    /// The one day, if it is known.
    pub(super) fn day(self) -> Option<u32> {
        (self.first == self.last).then_some(self.first)
    }

    /// The years that it may lie in.
    pub(super) fn years(self) -> std::ops::RangeInclusive<u32> {
        self.first / 10_000..=self.last / 10_000
    }

    /// How this agrees with another statement of a birth.
    pub fn agreement(self, other: Self) -> Agreement {
        if let (Some(a), Some(b)) = (self.day(), other.day()) {
            return days_agree(a, b);
        }
        if self.last < other.first || other.last < self.first {
            let apart = (self.first / 10_000).abs_diff(other.last / 10_000);
            let apart = apart.min((other.first / 10_000).abs_diff(self.last / 10_000));
            return match apart {
                0 => Agreement::OtherDayOfYear,
                1 => Agreement::NextYear,
                _ => Agreement::Different,
            };
        }
        let widest = (self.last - self.first).max(other.last - other.first);
        match widest {
            0..=99 => Agreement::SameMonth,
            100..=9_999 => Agreement::SameYear,
            _ => Agreement::WithinYears(u8::try_from(widest / 10_000 + 1).unwrap_or(u8::MAX)),
        }
    }
}

fn days_agree(a: u32, b: u32) -> Agreement {
    let exchanged = |day: u32| day / 10_000 * 10_000 + day % 100 * 100 + day / 100 % 100;
    let new_year = |day: u32| day % 10_000 == 101;
    if a == b {
        Agreement::SameDay
    } else if a == exchanged(b) {
        Agreement::DayAndMonthExchanged
    } else if a / 10_000 == b / 10_000 && (new_year(a) || new_year(b)) {
        // The first of January is what many registers write when they know the year only.
        Agreement::SameYear
    } else if one_slip(a, b) {
        Agreement::OneDigit
    } else if a / 10_000 == b / 10_000 {
        Agreement::OtherDayOfYear
    } else if (a / 10_000).abs_diff(b / 10_000) <= 1 {
        Agreement::NextYear
    } else {
        Agreement::Different
    }
}

/// One digit is another, or two neighbours are exchanged.
fn one_slip(a: u32, b: u32) -> bool {
    let digits = |number: u32| -> [u32; 8] { std::array::from_fn(|at| number / 10_u32.pow(at as u32) % 10) };
    let (a, b) = (digits(a), digits(b));
    let differ: Vec<usize> = (0..8).filter(|&at| a[at] != b[at]).collect();
    match differ[..] {
        [_] => true,
        [one, two] => two == one + 1 && a[one] == b[two] && a[two] == b[one],
        _ => false,
    }
}

/// How two statements of a birth agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// Both name the same day.
    SameDay,
    /// The day of one is the month of the other.
    DayAndMonthExchanged,
    /// The days differ by one digit, or by two neighbours exchanged.
    OneDigit,
    /// At least one knows the month only, and it is the same.
    SameMonth,
    /// At least one knows the year only, and it is the same.
    SameYear,
    /// They overlap; the wider spans so many years.
    WithinYears(u8),
    /// Another day of the same year.
    OtherDayOfYear,
    /// Neighbouring years.
    NextYear,
    /// Nothing of the kind.
    Different,
}

impl Agreement {
    /// What it takes from a score.
    pub fn cost(self) -> u16 {
        match self {
            Self::SameDay => 0,
            Self::SameMonth => 40,
            Self::DayAndMonthExchanged => 60,
            Self::OneDigit | Self::SameYear => 80,
            Self::WithinYears(years) => (100 + 8 * u16::from(years)).min(180),
            Self::OtherDayOfYear => 270,
            Self::NextYear => 300,
            Self::Different => 500,
        }
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameDay => f.write_str("born the same day"),
            Self::DayAndMonthExchanged => f.write_str("born the same day, day and month exchanged"),
            Self::OneDigit => f.write_str("day of birth alike (one digit)"),
            Self::SameMonth => f.write_str("born the same month"),
            Self::SameYear => f.write_str("born the same year"),
            Self::WithinYears(years) => write!(f, "born within the same {years} years"),
            Self::OtherDayOfYear => f.write_str("born the same year, another day"),
            Self::NextYear => f.write_str("born in neighbouring years"),
            Self::Different => f.write_str("born another time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(text: &str) -> Birth {
        Birth::on(text.parse().unwrap())
    }

    fn year(year: u16) -> Birth {
        Birth::in_year(year).unwrap()
    }

    #[test]
    fn days_agree_wholly_or_by_a_slip_of_the_pen() {
        let day = on("1975-03-12");
        assert_eq!(day.agreement(on("1975-03-12")), Agreement::SameDay);
        assert_eq!(day.agreement(on("1975-12-03")), Agreement::DayAndMonthExchanged);
        assert_eq!(day.agreement(on("1975-03-18")), Agreement::OneDigit);
        assert_eq!(day.agreement(on("1957-03-12")), Agreement::OneDigit);
        assert_eq!(day.agreement(on("1975-03-21")), Agreement::OneDigit);
        assert_eq!(day.agreement(on("1975-08-30")), Agreement::OtherDayOfYear);
        assert_eq!(day.agreement(on("1976-08-30")), Agreement::NextYear);
        assert_eq!(day.agreement(on("1983-08-30")), Agreement::Different);
    }

    #[test]
    fn the_first_of_january_may_mean_that_only_the_year_is_known() {
        assert_eq!(on("1975-01-01").agreement(on("1975-08-30")), Agreement::SameYear);
        assert_eq!(on("1975-01-01").agreement(on("1976-08-30")), Agreement::NextYear);
    }

    #[test]
    fn a_year_and_a_month_agree_with_the_days_in_them() {
        assert_eq!(year(1975).agreement(on("1975-12-31")), Agreement::SameYear);
        assert_eq!(year(1975).agreement(year(1975)), Agreement::SameYear);
        assert_eq!(year(1975).agreement(on("1976-01-01")), Agreement::NextYear);
        assert_eq!(year(1975).agreement(on("1977-01-01")), Agreement::Different);
        let march = Birth::in_month(1975, 3).unwrap();
        assert_eq!(march.agreement(on("1975-03-31")), Agreement::SameMonth);
        assert_eq!(march.agreement(on("1975-04-01")), Agreement::OtherDayOfYear);
    }

    #[test]
    fn an_age_is_a_window_of_years() {
        let today: Date = "2026-11-22".parse().unwrap();
        let thirties = Birth::aged(30, 35, today).unwrap();
        assert_eq!(thirties.years(), 1990..=1996);
        assert_eq!(thirties.agreement(on("1993-05-05")), Agreement::WithinYears(7));
        assert_eq!(thirties.agreement(on("1989-05-05")), Agreement::NextYear);
        assert_eq!(thirties.agreement(on("1985-05-05")), Agreement::Different);
    }

    #[test]
    fn bounds_that_are_none_are_refused() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(Birth::between(day("1975-03-12"), day("1975-03-11")), Err(BirthError::Reversed));
        assert_eq!(Birth::between(day("1945-03-12"), day("1975-03-13")), Err(BirthError::TooWide));
        assert!(Birth::between(day("1945-03-12"), day("1975-03-12")).is_ok());
        assert_eq!(Birth::in_year(999), Err(BirthError::NoSuchTime));
        assert_eq!(Birth::in_month(1975, 13), Err(BirthError::NoSuchTime));
        assert_eq!(Birth::aged(30, 3000, day("2026-11-22")), Err(BirthError::NoSuchTime));
    }

    #[test]
    fn the_nearer_the_agreement_the_less_it_costs() {
        let order = [
            Agreement::SameDay,
            Agreement::SameMonth,
            Agreement::DayAndMonthExchanged,
            Agreement::OneDigit,
            Agreement::WithinYears(5),
            Agreement::OtherDayOfYear,
            Agreement::NextYear,
            Agreement::Different,
        ];
        assert!(order.is_sorted_by_key(|agreement| agreement.cost()));
    }
}
