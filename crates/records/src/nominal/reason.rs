//! The reasons of a match, in words and in points.
//!
//! Everybody begins with a thousand points; each reason takes what it costs. So a score can always be explained, and
//! each rule can be tested alone. The costs of spelling depend on the length of the word; all others stand here.

use std::fmt;

use super::{Agreement, Part};

/// One thing that speaks for or against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A word of the name that was asked for has its counterpart.
    Word {
        /// The part of the name.
        part: Part,
        /// How alike they are.
        likeness: Likeness,
    },
    /// A word that the record does not have.
    NotRecorded(Part),
    /// A word that only the record has.
    NotAsked(Part),
    /// Both have a word that the other has not.
    Other(Part),
    /// A short word without a counterpart that is a particle of the other name but for a letter.
    Particle,
    /// No more than one word agrees, since one side has no more.
    OneWordOnly,
    /// Surname and given name stand in each other's place.
    PartsExchanged,
    /// Two words here are one word there.
    WrittenTogether,
    /// The name is an alias of the record.
    Alias,
    /// Both births are known.
    Birth(Agreement),
    /// A birth is not known, or was not asked for.
    BirthUnknown,
    /// The nationality that was asked for is one of the record's.
    SameNationality,
    /// The record has other nationalities.
    OtherNationality,
}

/// How alike two words are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// The same letters.
    Exact,
    /// The same sound, written otherwise: another transliteration.
    SoundsSame,
    /// Nearly the same sound.
    SoundsAlike {
        /// What it costs.
        cost: u16,
    },
    /// So many letters changed, missing, added or exchanged.
    SpeltAlike {
        /// How many.
        letters: u8,
        /// What it costs.
        cost: u16,
    },
    /// One is the initial of the other.
    Initial,
}

impl Likeness {
    /// What it takes from a score.
    pub fn cost(self) -> u16 {
        match self {
            Self::Exact => 0,
            Self::SoundsSame => 10,
            Self::SoundsAlike { cost } | Self::SpeltAlike { cost, .. } => cost,
            Self::Initial => 90,
        }
    }
}

impl Reason {
    /// What it takes from a score.
    pub fn cost(self) -> u16 {
        match self {
            Self::Word { likeness, .. } => likeness.cost(),
            Self::NotRecorded(part) | Self::NotAsked(part) => left_out(part),
            Self::Other(Part::Patronymic) => 110,
            Self::Other(_) => 300,
            Self::OneWordOnly => 150,
            Self::PartsExchanged | Self::Particle => 20,
            Self::WrittenTogether => 10,
            Self::Alias | Self::SameNationality => 0,
            Self::Birth(agreement) => agreement.cost(),
            Self::BirthUnknown => 170,
            Self::OtherNationality => 50,
        }
    }
}

/// What a word costs that has no counterpart.
fn left_out(part: Part) -> u16 {
    match part {
        Part::Surname => 60,
        Part::Given => 40,
        Part::Patronymic => 20,
        Part::Any => 45,
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Surname => "surname",
            Self::Given => "given name",
            Self::Patronymic => "patronymic",
            Self::Any => "name",
        })
    }
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::SoundsSame => f.write_str("sounds the same"),
            Self::SoundsAlike { .. } => f.write_str("sounds alike"),
            Self::SpeltAlike { letters: 1, .. } => f.write_str("spelt alike (1 letter)"),
            Self::SpeltAlike { letters, .. } => write!(f, "spelt alike ({letters} letters)"),
            Self::Initial => f.write_str("initial agrees"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word { part, likeness } => write!(f, "{part} {likeness}"),
            Self::NotRecorded(part) => write!(f, "a {part} is not in the record"),
            Self::NotAsked(part) => write!(f, "the record has a further {part}"),
            Self::Other(part) => write!(f, "another {part}"),
            Self::Particle => f.write_str("a particle alike"),
            Self::OneWordOnly => f.write_str("one name only to go by"),
            Self::PartsExchanged => f.write_str("surname and given name exchanged"),
            Self::WrittenTogether => f.write_str("two words written as one"),
            Self::Alias => f.write_str("under an alias"),
            Self::Birth(agreement) => agreement.fmt(f),
            Self::BirthUnknown => f.write_str("birth not known"),
            Self::SameNationality => f.write_str("same nationality"),
            Self::OtherNationality => f.write_str("another nationality"),
        }
    }
}
