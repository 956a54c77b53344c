//! Notices: colours and numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ParseError, serde_as_text};

/// What a notice is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Colour {
    /// Locate a wanted person, for extradition.
    Red,
    /// Locate a missing person.
    Yellow,
    /// Learn more about a person in connection with a crime.
    Blue,
    /// Warn of a person's criminal activities.
    Green,
    /// Warn of a serious and imminent threat.
    Orange,
    /// Describe a method, an object, a hiding place.
    Purple,
    /// Identify a body.
    Black,
}

impl Colour {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Yellow => "yellow",
            Self::Blue => "blue",
            Self::Green => "green",
            Self::Orange => "orange",
            Self::Purple => "purple",
            Self::Black => "black",
        }
    }
}

impl FromStr for Colour {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        [Self::Red, Self::Yellow, Self::Blue, Self::Green, Self::Orange, Self::Purple, Self::Black]
            .into_iter()
            .find(|colour| colour.as_str() == text)
            .ok_or_else(|| {
                ParseError::new(text, "a colour: red, yellow, blue, green, orange, purple or black")
            })
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The number of a notice: year and serial, written `2010/4711`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NoticeId {
    /// Year of the request, UTC.
    pub year: u16,
    /// Serial number in that year, from 1.
    pub serial: u32,
}

serde_as_text!(NoticeId);

impl FromStr for NoticeId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(text, "a notice number such as 2010/4711");
        let (year, serial) = text.split_once('/').ok_or_else(wrong)?;
        let digits = |text: &str| {
            !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
        };
        if year.len() != 4 || !digits(year) || !digits(serial) {
            return Err(wrong());
        }
        Ok(Self { year: year.parse().map_err(|_| wrong())?, serial: serial.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.year, self.serial)
    }
}
