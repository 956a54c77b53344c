//! Machine readable zones of ICAO 9303: cards (TD1, TD2), passports (TD3) and visas (MRV-A, MRV-B).
//!
//! It reads what stands there and repairs nothing: a zone that does not add up is refused with every fault at once, and
//! each wrong check digit says which field, what was found and what was expected.
//!
//! A zone that adds up is no proof. Characters whose values differ by a multiple of ten (0, A, K, U and `<`; 1, B, L and
//! V; …) can be exchanged unnoticed, and no digit covers the names, the type and the country.
//!
//! Why not a crate: those there are either stop at a yes or no for each field, or repair what a camera misread, and a
//! border check that quietly asks about another number is worse than none. One of them is the second opinion in the tests.

mod check;
mod fault;
mod layout;
mod print;

use std::fmt;

use crate::date::Date;
use crate::document::{DocumentNumber, Issuer};
use crate::record::Sex;

pub use check::check_digit;
pub use fault::{Fault, Field, MrzError};
use layout::Lines;

/// How a zone is laid out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// A card: three lines of 30.
    Td1,
    /// A larger card: two lines of 36.
    Td2,
    /// A passport: two lines of 44.
    Td3,
    /// A full-page visa: two lines of 44, no composite check digit.
    MrvA,
    /// A smaller visa: two lines of 36, no composite check digit.
    MrvB,
}

/// A birth date as far as the zone knows it: `<<` stands for a part that is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BirthDate {
    /// The year, with its century.
    pub year: Option<u16>,
    /// The month, from 1.
    pub month: Option<u8>,
    /// The day, from 1.
    pub day: Option<u8>,
}

/// What a zone says, all check digits being right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    /// How it is laid out.
    pub format: Format,
    /// The one or two letters of the document's type: `P`, `PD`, `I`, `V` …
    pub code: String,
    /// Who issued the document.
    pub issuer: Issuer,
    /// The document's number.
    pub number: DocumentNumber,
    /// Family names, parts separated by a space.
    pub surname: String,
    /// Given names, separated by spaces. Empty when there are none.
    pub given_names: String,
    /// The code of the nationality as it stands there, without `<`.
    pub nationality: String,
    /// When the bearer was born.
    pub birth: BirthDate,
    /// The bearer's sex; `<` is unknown.
    pub sex: Sex,
    /// The last day of validity.
    pub expiry: Date,
    /// What the issuer put into the optional fields, without `<` at the end.
    pub optional: String,
}

impl Zone {
    /// Reads a zone: lines separated by line breaks or spaces, or all run together. Small letters count as capitals.
    ///
    /// `today` decides the century of the birth date, which is never in the future, and that of the expiry, which is
    /// less than fifty years off.
    ///
    /// # Errors
    /// Every fault that was found: wrong lengths or characters alone, else all check digits, dates and codes that are
    /// wrong, in the order of the fields.
    pub fn read(text: &str, today: Date) -> Result<Self, MrzError> {
        layout::read(&Lines::split(text)?, today)
    }

    /// The zone as it is printed: its lines with every check digit, apart by line breaks. Names that are too long are
    /// cut, as the standard has it.
    ///
    /// None when something else does not fit, such as a number of more than nine characters, or has characters that no
    /// zone has.
    pub fn print(&self) -> Option<String> {
        print::print(self)
    }
}

impl Format {
    /// The name that the standard has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Td1 => "TD1",
            Self::Td2 => "TD2",
            Self::Td3 => "TD3",
            Self::MrvA => "MRV-A",
            Self::MrvB => "MRV-B",
        }
    }

    /// How many lines it has, and how many characters each of them.
    fn size(self) -> (usize, usize) {
        match self {
            Self::Td1 => (3, 30),
            Self::Td2 | Self::MrvB => (2, 36),
            Self::Td3 | Self::MrvA => (2, 44),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests;
