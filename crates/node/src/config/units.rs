//! Times and sizes as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time: `20ms`, `5s`, `2m`, `1h`, `30d`, or several of them: `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Period(pub Duration);

/// A number of bytes: `512`, `64KiB`, `25MiB`, `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

/// A text that is no time or no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct UnitError {
    text: String,
    expected: &'static str,
}

/// Largest first, as they are written.
const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        millis(text).map(|millis| Self(Duration::from_millis(millis))).ok_or_else(|| UnitError {
            text: text.chars().take(64).collect(),
            expected: "a time such as 20ms, 5s, 2m or 1h30m",
        })
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        bytes(text).map(Self).ok_or_else(|| UnitError {
            text: text.chars().take(64).collect(),
            expected: "a size such as 512, 64KiB, 25MiB or 2GiB",
        })
    }
}

fn millis(mut text: &str) -> Option<u64> {
    let mut sum: u64 = 0;
    if text == "0" {
        return Some(0);
    }
    while let Some((number, rest)) = number(text) {
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        sum = sum.checked_add(number.checked_mul(unit(&TIMES, &rest[..end])?)?)?;
        text = &rest[end..];
        if text.is_empty() {
            return Some(sum);
        }
    }
    None
}

fn bytes(text: &str) -> Option<u64> {
    let (number, rest) = number(text)?;
    number.checked_mul(unit(&SIZES, rest.trim_start())?)
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn unit(units: &[(&str, u64)], name: &str) -> Option<u64> {
    units.iter().find(|(known, _)| *known == name).map(|(_, factor)| *factor)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (name, factor) in TIMES {
            if left >= factor {
                write!(f, "{}{name}", left / factor)?;
                left %= factor;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SIZES.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        let (name, factor) = whole.unwrap_or(&("", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_as_people_do() {
        for (text, millis) in [
            ("20ms", 20),
            ("5s", 5000),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("1s500ms", 1500),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!((period.0, period.to_string()), (Duration::from_millis(millis), text.to_owned()));
        }
        assert_eq!("0".parse::<Period>().unwrap().to_string(), "0s");
        assert_eq!("90s".parse::<Period>().unwrap().to_string(), "1m30s");
        for text in ["", "5", "s", "5 s", "-1s", "5sec", "99999999999999999999s", "99999999999999999d"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_as_people_do() {
        for (text, bytes) in [("512", 512), ("64KiB", 65_536), ("25MiB", 26_214_400), ("2GiB", 2_147_483_648)]
        {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string()), (bytes, text.to_owned()));
        }
        assert_eq!(Size(0).to_string(), "0");
        assert_eq!(Size(1536).to_string(), "1536");
        for text in ["", "KiB", "64KB", "-1", "1.5MiB", "99999999999999999999"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
