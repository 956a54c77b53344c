//! Message ids: `FR-2-U-1042` is number 1042 of France's urgent lane in its epoch 2.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{CountryCode, Name, ParseError, Party, serde_as_text};

/// Whoever numbers and signs messages.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Sender {
    /// The hub's service key: reminders and escalations only. Written `IPSG`.
    Secretariat,
    /// A reviewer, with a key of her own. Written `GS.lena`.
    Reviewer(Name),
    /// A bureau. Written `FR`.
    Bureau(CountryCode),
    /// A post behind a bureau, with a key of its own. Written `FR.cdg`.
    Post(CountryCode, Name),
}

serde_as_text!(Sender);

impl Sender {
    /// The mailbox that answers to this sender go to.
    #[inline]
    pub fn party(&self) -> Party {
        match self {
            Self::Secretariat | Self::Reviewer(_) => Party::Secretariat,
            Self::Bureau(country) | Self::Post(country, _) => Party::Bureau(*country),
        }
    }
}

impl FromStr for Sender {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(text, "a sender such as FR, FR.cdg, GS.lena or IPSG");
        match text.split_once('.') {
            None if text == "IPSG" => Ok(Self::Secretariat),
            None => Ok(Self::Bureau(text.parse().map_err(|_| wrong())?)),
            // GS is no country code of ISO 3166-1 in use by a member; it always means the secretariat.
            Some(("GS", name)) => Ok(Self::Reviewer(name.parse().map_err(|_| wrong())?)),
            Some((country, name)) => {
                Ok(Self::Post(country.parse().map_err(|_| wrong())?, name.parse().map_err(|_| wrong())?))
            }
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secretariat => f.write_str("IPSG"),
            Self::Reviewer(name) => write!(f, "GS.{name}"),
            Self::Bureau(country) => country.fmt(f),
            Self::Post(country, name) => write!(f, "{country}.{name}"),
        }
    }
}

/// How urgent a message is. The order is that of delivery: the most urgent first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Lane {
    /// `V`: acknowledged within a minute, answered within the hour.
    VeryUrgent,
    /// `U`: answered within twelve hours.
    Urgent,
    /// `N`: answered within ten days.
    Normal,
    /// `B`: loads of records; never in the way of the others.
    Bulk,
}

impl Lane {
    /// All lanes, the most urgent first.
    pub const ALL: [Self; 4] = [Self::VeryUrgent, Self::Urgent, Self::Normal, Self::Bulk];

    /// The letter in a message id.
    pub fn letter(self) -> char {
        match self {
            Self::VeryUrgent => 'V',
            Self::Urgent => 'U',
            Self::Normal => 'N',
            Self::Bulk => 'B',
        }
    }

    /// Place in [`Lane::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

impl FromStr for Lane {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "V" => Ok(Self::VeryUrgent),
            "U" => Ok(Self::Urgent),
            "N" => Ok(Self::Normal),
            "B" => Ok(Self::Bulk),
            _ => Err(ParseError::new(text, "a lane: V, U, N or B")),
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VeryUrgent => "very urgent",
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        })
    }
}

/// The id of a message, fixed before the first attempt to send it.
///
/// Messages that the hub makes itself carry the position of the entry that made them in place of
/// the epoch: `IPSG-881-U-2` is the second message made by entry 881. Each recovery of the log adds 10^12 to the position.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MessageId {
    /// Who numbered it.
    pub sender: Sender,
    /// Which series of numbers; a sender restored from an older copy begins a new one. From 1.
    pub epoch: u64,
    /// The lane that it travels in.
    pub lane: Lane,
    /// Its number in this series and lane. From 1, without gaps.
    pub number: u64,
}

serde_as_text!(MessageId);

impl FromStr for MessageId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError::new(text, "a message id such as FR-2-U-1042");
        let mut parts = text.split('-');
        let (Some(sender), Some(epoch), Some(lane), Some(number), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        Ok(Self {
            sender: sender.parse().map_err(|_| wrong())?,
            epoch: positive(epoch).ok_or_else(wrong)?,
            lane: lane.parse().map_err(|_| wrong())?,
            number: positive(number).ok_or_else(wrong)?,
        })
    }
}

/// A positive number in its only spelling: no sign, no leading zero.
fn positive(text: &str) -> Option<u64> {
    let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if canonical { text.parse().ok() } else { None }
}

impl fmt::Display for MessageId {
    /// In one piece: each message's id is written a dozen times on its way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut spelling = Spelling { bytes: [0; Spelling::MAX_BYTES], begin: Spelling::MAX_BYTES };
        spelling.put_number(self.number);
        spelling.put(&[b'-', self.lane.letter() as u8, b'-']);
        spelling.put_number(self.epoch);
        spelling.put(b"-");
        match &self.sender {
            Sender::Secretariat => spelling.put(b"IPSG"),
            Sender::Bureau(country) => spelling.put(country.as_str().as_bytes()),
            Sender::Reviewer(name) => {
                spelling.put(name.as_str().as_bytes());
                spelling.put(b"GS.");
            }
            Sender::Post(country, name) => {
                spelling.put(name.as_str().as_bytes());
                spelling.put(b".");
                spelling.put(country.as_str().as_bytes());
            }
        }
        f.pad(spelling.as_str())
    }
}

/// An id that is written from its end to its beginning.
struct Spelling {
    bytes: [u8; Self::MAX_BYTES],
    begin: usize,
}

impl Spelling {
    /// A country or `GS`, a point and a name; two numbers, the letter of a lane, three hyphens.
    const MAX_BYTES: usize = 3 + Name::MAX_BYTES + 2 * 20 + 1 + 3;

    fn put(&mut self, text: &[u8]) {
        let end = self.begin;
        self.begin -= text.len();
        self.bytes[self.begin..end].copy_from_slice(text);
    }

    fn put_number(&mut self, mut number: u64) {
        loop {
            self.put(&[b'0' + (number % 10) as u8]);
            number /= 10;
            if number == 0 {
                return;
            }
        }
    }

    fn as_str(&self) -> &str {
        // Countries, names, digits and hyphens: always text.
        std::str::from_utf8(&self.bytes[self.begin..]).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        for text in ["FR-2-U-1042", "FR.cdg-1-N-3", "GS.lena-1-V-7", "IPSG-881-U-2"] {
            assert_eq!(text.parse::<MessageId>().unwrap().to_string(), text);
        }
        let name = "a".repeat(Name::MAX_BYTES);
        let longest = format!("FR.{name}-18446744073709551615-V-18446744073709551615");
        assert_eq!(longest.parse::<MessageId>().unwrap().to_string(), longest);
        assert_eq!(longest.len(), Spelling::MAX_BYTES);
        assert_eq!(format!("{:>12}", "FR-2-U-1042".parse::<MessageId>().unwrap()), " FR-2-U-1042");
        for text in [
            "FR-0-U-1",
            "FR-1-U-0",
            "FR-01-U-1",
            "FR-1-U-+1",
            "FR-1-X-1",
            "fr-1-U-1",
            "FR-1-U",
            "FR-1-U-1-1",
            "",
        ] {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
    }
}
