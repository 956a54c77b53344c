//! Texts and numbers of records: lines, paragraphs, references, dates known in part, hashes and vectors, each with its limit.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use i247_model::{Colour, CountryCode, Hash, NoticeId, Party, hexadecimal};

use super::value::{Atom, text_atoms};
use crate::date::Date;
use crate::document::{DocumentNumber, Issuer};
use crate::text::TextError;

/// A text with a limit, without control characters.
macro_rules! limited_text {
    ($(#[$doc:meta])* $name:ident, $limit:literal, $breaks:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Most bytes that it may have.
            pub const MAX_BYTES: usize = $limit;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                let fits = (1..=Self::MAX_BYTES).contains(&text.len());
                let breaks = |c: char| $breaks && matches!(c, '\n' | '\t');
                let plain = text.trim() == text && text.chars().all(|c| breaks(c) || is_plain(c));
                if fits && plain { Ok(Self(text.into())) } else { Err(TextError::new(text, $expected)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

/// Neither a control character nor one that turns the direction of what follows, which would mislead a reader.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

limited_text! {
    /// One line of text.
    Line, 200, false, "one line of at most 200 bytes without control characters"
}
limited_text! {
    /// Text of several lines.
    Paragraph, 4096, true, "a text of at most 4096 bytes without control characters"
}
limited_text! {
    /// The owner's own reference of a record.
    Reference, 40, false, "a reference of at most 40 bytes without control characters"
}
limited_text! {
    /// What a generic record is found by.
    Code, 100, false, "a code of at most 100 bytes without control characters"
}

text_atoms! { Line, Paragraph, Reference, Code, PartialDate, DocumentNumber, Issuer, CountryCode, Party, NoticeId }

/// A date as far as it is known: `1987`, `1987-03` or `1987-03-22`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartialDate {
    year: u16,
    month: Option<u8>,
    day: Option<u8>,
}

impl PartialDate {
    /// The year.
    pub fn year(self) -> u16 {
        self.year
    }

    /// The month, where it is known.
    pub fn month(self) -> Option<u8> {
        self.month
    }

    /// The day of the month, where it is known.
    pub fn day(self) -> Option<u8> {
        self.day
    }
}

impl FromStr for PartialDate {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let whole = match text.len() {
            4 => format!("{text}-01-01"),
            7 => format!("{text}-01"),
            _ => text.to_owned(),
        };
        let date: Date =
            whole.parse().map_err(|_| TextError::new(text, "a date YYYY, YYYY-MM or YYYY-MM-DD"))?;
        let month = (text.len() > 4).then_some(date.month());
        Ok(Self { year: date.year(), month, day: (text.len() > 7).then_some(date.day()) })
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        self.month.map_or(Ok(()), |month| write!(f, "-{month:02}"))?;
        self.day.map_or(Ok(()), |day| write!(f, "-{day:02}"))
    }
}

/// A whole number between two limits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Number<const MIN: u32, const MAX: u32>(u32);

/// A year of manufacture or first issue.
pub type Year = Number<1800, 2200>;
/// A length in centimetres, up to a kilometre.
pub type Centimetres = Number<1, 100_000>;
/// A length in millimetres, up to a hundred metres.
pub type Millimetres = Number<1, 100_000>;
/// The quality of a template, from 1 to 100.
pub type Quality = Number<1, 100>;
/// The edition of a notice.
pub type Edition = Number<1, { u32::MAX }>;

impl<const MIN: u32, const MAX: u32> Number<MIN, MAX> {
    /// The number, if it lies between the limits.
    pub fn new(number: u32) -> Option<Self> {
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn value(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> Atom for Number<MIN, MAX> {
    type Wire = u32;

    fn from_wire(wire: u32) -> Result<Self, TextError> {
        Self::new(wire)
            .ok_or_else(|| TextError::new(&wire.to_string(), "a number within the limits of the field"))
    }

    fn to_wire(&self) -> u32 {
        self.0
    }

    fn parse(text: &str) -> Result<Self, TextError> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits).and_then(Self::new);
        number.ok_or_else(|| TextError::new(text, "a whole number within the limits of the field"))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

impl Atom for Date {
    type Wire = u32;

    fn from_wire(wire: u32) -> Result<Self, TextError> {
        Self::from_number(wire).ok_or_else(|| TextError::new(&wire.to_string(), "a date YYYYMMDD"))
    }

    fn to_wire(&self) -> u32 {
        self.number()
    }

    fn parse(text: &str) -> Result<Self, TextError> {
        text.parse()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Atom for Colour {
    type Wire = i32;

    fn from_wire(wire: i32) -> Result<Self, TextError> {
        i247_wire::known::<i247_wire::pb::Colour, Self>(wire, "colour")
            .map_err(|_| TextError::new(&wire.to_string(), "a known value"))
    }

    fn to_wire(&self) -> i32 {
        i247_wire::pb::Colour::from(*self).into()
    }

    fn parse(text: &str) -> Result<Self, TextError> {
        text.to_ascii_lowercase()
            .parse()
            .map_err(|_| TextError::new(text, "a colour of a notice, such as red"))
    }

    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}

/// The SHA-256 commitment of an attachment, written as 64 hexadecimal digits.
impl Atom for Hash {
    type Wire = Bytes;

    fn from_wire(wire: Bytes) -> Result<Self, TextError> {
        Self::from_slice(&wire).ok_or_else(|| TextError::new(&format!("{} bytes", wire.len()), "32 bytes"))
    }

    fn to_wire(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }

    fn parse(text: &str) -> Result<Self, TextError> {
        let bytes = unhex(text).and_then(|bytes| Self::from_slice(&bytes));
        bytes.ok_or_else(|| TextError::new(text, "64 hexadecimal digits"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// An opaque vector of 32 to 2048 bytes, written in hexadecimal digits. Its bytes never reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Vector(Bytes);

impl Vector {
    /// The vector in these bytes, if their number is within the limits.
    pub fn new(bytes: Bytes) -> Option<Self> {
        (32..=2048).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vector of {} bytes", self.0.len())
    }
}

impl Atom for Vector {
    type Wire = Bytes;

    fn from_wire(wire: Bytes) -> Result<Self, TextError> {
        let len = wire.len();
        Self::new(wire).ok_or_else(|| TextError::new(&format!("{len} bytes"), "a vector of 32 to 2048 bytes"))
    }

    fn to_wire(&self) -> Bytes {
        self.0.clone()
    }

    fn parse(text: &str) -> Result<Self, TextError> {
        unhex(text).and_then(|bytes| Self::new(bytes.into())).ok_or_else(|| {
            TextError::new(&format!("{} characters", text.len()), "64 to 4096 hexadecimal digits")
        })
    }

    fn show(&self) -> String {
        hexadecimal(&self.0)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}
