//! Short names of seats, posts, reviewers and services.

use std::fmt;
use std::str::FromStr;

use crate::{ParseError, serde_as_text};

/// A lower-case letter, then up to 31 lower-case letters, digits or underscores. It names a role, never a person.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

serde_as_text!(Name);

impl Name {
    /// Longest name, in bytes.
    pub const MAX_BYTES: usize = 32;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bytes = text.as_bytes();
        let starts = bytes.first().is_some_and(u8::is_ascii_lowercase);
        let rest = bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_');
        if starts && rest && bytes.len() <= Self::MAX_BYTES {
            return Ok(Self(text.into()));
        }
        Err(ParseError::new(
            text,
            "a name of at most 32 lower-case letters, digits and underscores that begins with a letter",
        ))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
