//! Whoever has a mailbox.

use std::fmt;
use std::str::FromStr;

use crate::{CountryCode, ParseError, serde_as_text};

/// A recipient: the General Secretariat (`IPSG`) or a country's bureau (`FR`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Party {
    /// The General Secretariat.
    Secretariat,
    /// The National Central Bureau of a country.
    Bureau(CountryCode),
}

serde_as_text!(Party);

impl Party {
    /// The country, unless it is the secretariat.
    pub fn country(self) -> Option<CountryCode> {
        match self {
            Self::Secretariat => None,
            Self::Bureau(country) => Some(country),
        }
    }
}

impl From<CountryCode> for Party {
    fn from(country: CountryCode) -> Self {
        Self::Bureau(country)
    }
}

impl FromStr for Party {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text == "IPSG" {
            return Ok(Self::Secretariat);
        }
        let country = text.parse().map_err(|_| ParseError::new(text, "IPSG or a country code"))?;
        Ok(Self::Bureau(country))
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secretariat => f.write_str("IPSG"),
            Self::Bureau(country) => country.fmt(f),
        }
    }
}
