//! What an alert says: phrases of its rule with values in them. They are English here; whoever reads another language
//! has the same phrases by name, and says the values in his own way.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use i247_model::{Lane, Party};
use i247_wire::pb;
use i247_wire::pb::alert_value::Value as Wire;

/// A phrase of a rule: what translations know it by, and what it is in English. `{name}` stands for a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Phrase {
    pub(crate) name: &'static str,
    pub(crate) english: &'static str,
}

/// What stands in a phrase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// How many, or which entry.
    Count(u64),
    /// How long.
    Time(Duration),
    Bytes(u64),
    /// Of a hundred parts.
    Percent(u64),
    Party(Party),
    Lane(Lane),
    /// What a certificate is for: `signing` or `TLS`.
    Purpose(&'static str),
    /// An id or a name: the same in every language.
    Name(String),
}

/// One phrase after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line(Vec<Said>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Said {
    phrase: Phrase,
    values: Vec<(&'static str, Value)>,
}

impl Phrase {
    pub(crate) const fn new(name: &'static str, english: &'static str) -> Self {
        Self { name, english }
    }

    /// The phrase with a value in its place.
    pub(crate) fn with(self, name: &'static str, value: impl Into<Value>) -> Line {
        Line::from(self).with(name, value)
    }
}

impl From<Phrase> for Line {
    fn from(phrase: Phrase) -> Self {
        Self(vec![Said { phrase, values: Vec::new() }])
    }
}

impl Line {
    /// One more value, in the last phrase.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.values.push((name, value.into()));
        }
        self
    }

    /// One more phrase.
    pub(crate) fn and(mut self, phrase: Phrase) -> Self {
        self.0.push(Said { phrase, values: Vec::new() });
        self
    }

    /// Of which phrases it is.
    pub(crate) fn phrases(&self) -> impl Iterator<Item = Phrase> {
        self.0.iter().map(|said| said.phrase)
    }

    pub(crate) fn wire(&self) -> Vec<pb::AlertPhrase> {
        let value = |(name, value): &(&str, Value)| pb::AlertValue {
            name: (*name).into(),
            value: Some(value.wire()),
        };
        let said = |said: &Said| pb::AlertPhrase {
            name: said.phrase.name.into(),
            values: said.values.iter().map(value).collect(),
        };
        self.0.iter().map(said).collect()
    }
}

/// In English.
impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Said { phrase, values } in &self.0 {
            // A value is put in once: what stands in a name is no place for another.
            let mut rest = phrase.english;
            while let Some((before, (name, after))) =
                rest.split_once('{').and_then(|(before, at)| Some((before, at.split_once('}')?)))
            {
                f.write_str(before)?;
                match values.iter().find(|(of, _)| *of == name) {
                    Some((_, value)) => value.fmt(f)?,
                    None => f.write_char('?')?,
                }
                rest = after;
            }
            f.write_str(rest)?;
        }
        Ok(())
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Time(time) => write_time(f, time.as_millis()),
            Self::Bytes(bytes) => write!(f, "{} MiB", bytes >> 20),
            Self::Percent(percent) => write!(f, "{percent} %"),
            Self::Party(party) => party.fmt(f),
            Self::Lane(lane) => lane.fmt(f),
            Self::Purpose(purpose) => purpose.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// In the unit that says it best.
fn write_time(f: &mut fmt::Formatter<'_>, ms: u128) -> fmt::Result {
    const MINUTE: u128 = 60_000;
    match ms {
        0..1_000 => write!(f, "{ms} ms"),
        1_000..10_000 => write!(f, "{}.{} s", ms / 1_000, ms % 1_000 / 100),
        10_000..120_000 => write!(f, "{} s", ms / 1_000),
        _ if ms < 120 * MINUTE => write!(f, "{} min", ms / MINUTE),
        _ => write!(f, "{} h", ms / (60 * MINUTE)),
    }
}

impl Value {
    fn wire(&self) -> Wire {
        match self {
            Self::Count(count) => Wire::Count(*count),
            Self::Time(time) => Wire::TimeMs(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            Self::Bytes(bytes) => Wire::Bytes(*bytes),
            Self::Percent(percent) => Wire::Percent(*percent),
            Self::Party(party) => Wire::Party(party.to_string()),
            Self::Lane(lane) => Wire::Lane(pb::Lane::from(*lane).into()),
            Self::Purpose(purpose) => Wire::Purpose((*purpose).into()),
            Self::Name(name) => Wire::Verbatim(name.clone()),
        }
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Time(time)
    }
}

impl From<Party> for Value {
    fn from(party: Party) -> Self {
        Self::Party(party)
    }
}

impl From<Lane> for Value {
    fn from(lane: Lane) -> Self {
        Self::Lane(lane)
    }
}

impl From<String> for Value {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<&str> for Value {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Phrase = Phrase::new("waits", "{id} has waited for {party} for {time}");
    const MORE: Phrase = Phrase::new("more", ", and {count} more");

    #[test]
    fn a_line_is_its_phrases_with_their_values() {
        let line = WAITS.with("id", "FR-1-V-1").with("party", "BR".parse::<Party>().unwrap());
        let line = line.with("time", Duration::from_secs(61)).and(MORE).with("count", 1016);
        assert_eq!(line.to_string(), "FR-1-V-1 has waited for BR for 61 s, and 1016 more");
        let wire = line.wire();
        let names: Vec<&str> = wire.iter().map(|phrase| phrase.name.as_str()).collect();
        assert_eq!(names, ["waits", "more"]);
        let values: Vec<_> = wire[0].values.iter().map(|value| value.value.clone().unwrap()).collect();
        assert_eq!(
            values,
            [Wire::Verbatim("FR-1-V-1".into()), Wire::Party("BR".into()), Wire::TimeMs(61_000)]
        );
    }

    #[test]
    fn what_stands_in_a_value_is_no_place_for_another() {
        let line = WAITS.with("id", "{time}").with("time", Duration::from_secs(61));
        assert_eq!(line.to_string(), "{time} has waited for ? for 61 s");
    }

    #[test]
    fn a_time_is_said_in_the_unit_that_fits() {
        let said = |ms| Value::Time(Duration::from_millis(ms)).to_string();
        assert_eq!(said(63), "63 ms");
        assert_eq!(said(2_549), "2.5 s");
        assert_eq!(said(119_999), "119 s");
        assert_eq!(said(120_000), "2 min");
        assert_eq!(said(7_199_999), "119 min");
        assert_eq!(said(7_200_000), "2 h");
    }
}
