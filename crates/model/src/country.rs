//! Countries by their ISO 3166-1 alpha-2 code.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::{ParseError, serde_as_text};

/// Two capital letters. Whether the country is a member is the directory's business.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CountryCode([u8; 2]);

serde_as_text!(CountryCode);

impl CountryCode {
    /// The two letters.
    pub fn as_str(&self) -> &str {
        // Only capital ASCII letters get in, so this is always text.
        std::str::from_utf8(&self.0).unwrap_or("??")
    }

    /// The two letters in lower case, as SPIFFE ids and file names have them.
    pub fn to_lowercase(&self) -> String {
        self.as_str().to_ascii_lowercase()
    }
}

impl Ord for CountryCode {
    /// By letters, as one number: every mailbox and every audience is found by this order.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        u16::from_be_bytes(self.0).cmp(&u16::from_be_bytes(other.0))
    }
}

impl PartialOrd for CountryCode {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for CountryCode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.as_bytes() {
            &[a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([a, b])),
            _ => Err(ParseError::new(text, "a country code of two capital letters")),
        }
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
