//! What the search knows of a person, what it is asked, and what it answers.

use std::fmt;

use i247_model::CountryCode;
use serde::{Deserialize, Serialize};

use super::reason::Reason;
use super::{Birth, Name};

/// Most names of one person, aliases included.
pub const NAMES_MAX: usize = 16;
/// Most births of one person: registers disagree.
pub const BIRTHS_MAX: usize = 4;
/// Most nationalities of one person.
pub const NATIONALITIES_MAX: usize = 8;
/// Most matches of an answer.
pub const MATCHES_MAX: usize = 100;
/// The score of a person about whom nothing differs.
pub const SCORE_MAX: u16 = 1000;
/// The score from which somebody is a match. Chosen by measurement with `benches/nominal.rs`: among a hundred thousand
/// persons precision and recall are nearest to each other about here; among a million, some twenty points higher.
pub const THRESHOLD: u16 = 740;

/// A person as the search keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub(super) locator: u64,
    pub(super) names: Vec<Name>,
    pub(super) births: Vec<Birth>,
    pub(super) nationalities: Vec<CountryCode>,
}

/// Why a person is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersonError {
    /// A person has a name.
    #[error("a person has a name")]
    NoName,
    /// More names than [`NAMES_MAX`].
    #[error("a person has at most {NAMES_MAX} names")]
    TooManyNames,
    /// More births than [`BIRTHS_MAX`].
    #[error("a person has at most {BIRTHS_MAX} births")]
    TooManyBirths,
    /// More nationalities than [`NATIONALITIES_MAX`].
    #[error("a person has at most {NATIONALITIES_MAX} nationalities")]
    TooManyNationalities,
}

impl Person {
    /// The person whose record is found at `locator`. The first name is the main one, the others are aliases.
    ///
    /// # Errors
    /// When there is no name, or too much of something: see [`PersonError`].
    pub fn new(
        locator: u64,
        names: Vec<Name>,
        births: Vec<Birth>,
        nationalities: Vec<CountryCode>,
    ) -> Result<Self, PersonError> {
        if names.is_empty() {
            return Err(PersonError::NoName);
        }
        if names.len() > NAMES_MAX {
            return Err(PersonError::TooManyNames);
        }
        if births.len() > BIRTHS_MAX {
            return Err(PersonError::TooManyBirths);
        }
        if nationalities.len() > NATIONALITIES_MAX {
            return Err(PersonError::TooManyNationalities);
        }
        Ok(Self { locator, names, births, nationalities })
    }

    /// Where the record is found.
    pub fn locator(&self) -> u64 {
        self.locator
    }
}

/// Who is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The name.
    pub name: Name,
    /// The birth, a window for an age; nothing if it is not known.
    pub birth: Option<Birth>,
    /// The nationality, if it is known.
    pub nationality: Option<CountryCode>,
    /// The score from which somebody is in the answer.
    pub at_least: u16,
    /// Most matches of the answer; more than [`MATCHES_MAX`] are never given.
    pub limit: usize,
}

impl Query {
    /// A search for this name, with the usual threshold and at most twenty matches.
    pub fn new(name: Name, birth: Option<Birth>) -> Self {
        Self { name, birth, nationality: None, at_least: THRESHOLD, limit: 20 }
    }
}

/// Somebody who may be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Where the record is found.
    pub locator: u64,
    /// From 0 to [`SCORE_MAX`].
    pub score: u16,
    /// What agrees and what does not; what they cost is what the score lacks.
    pub reasons: Vec<Reason>,
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
