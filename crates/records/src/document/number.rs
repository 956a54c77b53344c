//! Numbers of documents and things: one spelling, and the form in which look-alikes are the same.

use std::fmt;
use std::str::FromStr;

use crate::text::TextError;

/// 1 to 20 characters A–Z and 0–9: what is left of a printed number without spaces, hyphens and `<`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentNumber(Short);

/// A number in which characters that people and machines take for each other are one. Two different numbers with the
/// same folded form are a near miss, which is never more than POSSIBLE.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folded(Short);

/// A character as the folded form has it: O is 0, I is 1, Z is 2, S is 5, B is 8.
pub fn fold(byte: u8) -> u8 {
    match byte {
        b'O' => b'0',
        b'I' => b'1',
        b'Z' => b'2',
        b'S' => b'5',
        b'B' => b'8',
        other => other,
    }
}

impl DocumentNumber {
    /// Most characters of a number.
    pub const MAX_CHARS: usize = 20;

    /// The number in its one spelling.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The form in which its look-alikes are the same.
    pub fn folded(&self) -> Folded {
        let mut folded = self.0;
        for byte in &mut folded.bytes[..usize::from(folded.len)] {
            *byte = fold(*byte);
        }
        Folded(folded)
    }

    /// Whether it differs from `other` only in characters that look alike.
    pub fn is_near_miss_of(&self, other: &Self) -> bool {
        self != other && self.folded() == other.folded()
    }

    /// What stands before its last run of digits, how many digits that has, and their value. None without digits at
    /// the end, or with more than 18 of them.
    pub fn serial(&self) -> Option<(&str, u8, u64)> {
        let text = self.as_str();
        let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (prefix, tail) = text.split_at(text.len() - digits);
        if digits > 18 {
            return None;
        }
        Some((prefix, u8::try_from(digits).ok()?, tail.parse().ok()?))
    }
}

impl Folded {
    /// The folded characters.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for DocumentNumber {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let wrong = || TextError::new(text, "a number of 1 to 20 letters A to Z and digits");
        let mut short = Short { len: 0, bytes: [0; Self::MAX_CHARS] };
        for byte in text.bytes().filter(|byte| !matches!(byte, b' ' | b'<' | b'-')) {
            let slot = short.bytes.get_mut(usize::from(short.len)).ok_or_else(wrong)?;
            if !byte.is_ascii_alphanumeric() {
                return Err(wrong());
            }
            *slot = byte.to_ascii_uppercase();
            short.len += 1;
        }
        if short.len == 0 { Err(wrong()) } else { Ok(Self(short)) }
    }
}

impl fmt::Display for DocumentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for DocumentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~{}", self.as_str())
    }
}

/// Capitals and digits, in place: numbers are made by the hundred thousand a second. Bytes past the length are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Short {
    bytes: [u8; DocumentNumber::MAX_CHARS],
    len: u8,
}

impl Short {
    fn as_str(&self) -> &str {
        // Only ASCII letters and digits get in, so this is always text.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> DocumentNumber {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_has_one_spelling() {
        for text in ["X4719T06M", "x4719t06m", " x4719-t06 m", "X4719T06M<<<"] {
            assert_eq!(number(text).as_str(), "X4719T06M");
        }
        assert_eq!(number("A2345678901234567890").as_str().len(), 20);
        for text in ["", " <-", "A23456789012345678901", "X4719/T06", "Ä123", "12\u{0}3", "１２３", "=1+1"]
        {
            assert!(text.parse::<DocumentNumber>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn look_alikes_are_near_misses_and_equal_numbers_are_not() {
        assert!(number("X4719TO6M").is_near_miss_of(&number("X4719T06M")));
        assert!(number("PI2S").is_near_miss_of(&number("P1Z5")));
        assert!(number("B1").is_near_miss_of(&number("8I")));
        assert!(!number("X4719T06M").is_near_miss_of(&number("X4719T06M")));
        assert!(!number("X4179T06M").is_near_miss_of(&number("X4719T06M")));
        assert!(!number("X4719T06").is_near_miss_of(&number("X4719T06M")));
        assert_eq!(number("OIZSB").folded().as_str(), "01258");
    }

    #[test]
    fn a_serial_is_the_run_of_digits_at_the_end() {
        assert_eq!(number("P0001234").serial(), Some(("P", 7, 1234)));
        assert_eq!(number("12AB0").serial(), Some(("12AB", 1, 0)));
        assert_eq!(number("0042").serial(), Some(("", 4, 42)));
        assert_eq!(number("P12X").serial(), None);
        assert_eq!(number("1234567890123456789").serial(), None);
    }

    #[test]
    fn shorter_numbers_come_first_among_those_that_begin_alike() {
        assert!(number("P1") < number("P10"));
        assert!(number("P10") < number("P2"));
    }
}
