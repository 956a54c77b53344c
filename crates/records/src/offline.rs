//! Offline copies: what a post goes on asking when there is no network. It must not answer more than "perhaps".
//!
//! ```text
//!   index ──► keys nobody is kept from ──► base            ─┐ snapshot, then deltas, each signed
//!         └─► keys that one country sees ─► its supplement ─┘ and chained to the one before
//!                                             │
//!   holder:  base + supplement + questions + the time ──► nothing recorded │ possible, always with "as of"
//! ```
//!
//! * A hit is only [`Finding::Possible`]: the copy knows fingerprints, not records, and is older than the network. Ask
//!   again on line before anything is done.
//! * The copy is asked by keys, 4,096 at a time at the most, fewer when it has more than 17 million: so one check is wrong
//!   at most once in a million times ([`KeySet`] has the arithmetic). It never says that nothing is recorded of a key
//!   that it holds.
//! * Older than [`OLD_AFTER`] answers with a warning, older than [`REFUSED_AFTER`] not at all. Time is handed in: whoever
//!   sets a post's clock back to just behind the copy's own date can make it look fresh, not more.
//! * A holder keeps the [`Mark`] of its newest version apart from the files, and so notices when it is given older ones,
//!   or others of the same version.
//! * Base and supplement are of one moment. Otherwise a record that was restricted between the two would be in neither.
//! * Of a range of stolen blanks the copy has [`blocks`] instead of every number.
//! * Signatures are the caller's: over the statement that `part` documents, byte for byte.
//! * Fingerprints have no secret. Who holds a copy can try document numbers against it, as often as it likes: it goes
//!   only to those who may ask on line.

mod begun;
pub mod blocks;
mod copies;
mod edition;
mod holder;
mod keys;
mod list;
mod marks;
pub(crate) mod part;

use std::fmt;
use std::time::Duration;

use i247_model::{CountryCode, Hash, Timestamp};

use crate::index::Fingerprint;

pub use self::begun::Begun;
pub use self::copies::Copies;
pub use self::edition::{About, Delta, Edition, Holding, MAX_CHANGES};
pub use self::holder::{Have, Holder, HolderError, Network, Part};
pub use self::keys::{KEY_BITS, KeySet};
pub use self::list::{AskedList, ListError, Seal, chained};
pub use self::marks::Marks;

/// From this age on an answer warns.
pub const OLD_AFTER: Duration = Duration::from_secs(48 * 60 * 60);
/// From this age on there is no answer.
pub const REFUSED_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How far a post's clock may be behind the copy's date.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// The most keys of one check, for copies of up to 17 million keys; for larger ones it is less, so that a false
/// "possible" never comes more often than once in a million checks.
pub const MAX_QUESTIONS: usize = 4096;
/// 2⁵⁶ / 10⁶: so many times can a key be compared with another before a false "possible" has a chance of one in a million.
const COMPARISONS: u64 = (1 << KEY_BITS) / 1_000_000;

/// Whose keys a copy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Those of records that nobody is kept from.
    Base,
    /// Those of restricted records that this country may see.
    Supplement(CountryCode),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Base => f.write_str("the base"),
            Scope::Supplement(country) => write!(f, "the supplement of {country}"),
        }
    }
}

/// A version, and a hash over all that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The number of the version: each is one more than the one before.
    pub version: u64,
    /// What this version and no other follows from.
    pub chain: Hash,
}

/// Why a copy, or a part of one, is refused. Each says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfflineError {
    /// The file ends early.
    #[error("the offline copy is cut off after {found} of {expected} bytes; fetch it again")]
    Truncated {
        /// How long it should be, in bytes.
        expected: u64,
        /// How long it is.
        found: u64,
    },
    /// Something stands behind the end.
    #[error("the offline copy has {found} bytes instead of {expected}; fetch it again")]
    TooLong {
        /// How long it should be, in bytes.
        expected: u64,
        /// How long it is.
        found: u64,
    },
    /// It is another kind of file.
    #[error("this is not an offline copy; check which file was given")]
    NotACopy,
    /// It was written by a program with another format.
    #[error("the offline copy has format {0}, which is unknown here; update this program")]
    Format(u32),
    /// The signature is not one of the network over this statement.
    #[error("the signature of the offline copy is not good: do not use it, report it, and fetch another one")]
    Signature,
    /// The keys are not those that were signed.
    #[error(
        "the contents of the offline copy are not those that were signed: report it, and fetch another one"
    )]
    Body,
    /// It is signed, but does not hold what it should, or is a snapshot where a delta belongs or the other way round.
    #[error(
        "the offline copy is signed but does not hold what it should; fetch a new snapshot and report it"
    )]
    Contents,
    /// It is of another network.
    #[error("the offline copy is of another network; fetch one of this network")]
    Network,
    /// It is of another scope.
    #[error("this is {found}, not {expected}; fetch the right one")]
    Scope {
        /// What was to be there.
        expected: Scope,
        /// What is there.
        found: Scope,
    },
    /// It is older than what was there before.
    #[error(
        "version {offered} was offered, but version {known} was here before: refused; fetch the newest and report it"
    )]
    RolledBack {
        /// The version that was there.
        known: u64,
        /// The one that was offered.
        offered: u64,
    },
    /// There are two versions of the same number.
    #[error(
        "version {version} is not the one that was here before: refused; fetch a new snapshot and report it"
    )]
    Forked {
        /// The number.
        version: u64,
    },
    /// Deltas are missing.
    #[error(
        "version {offered} does not follow version {have}; fetch the deltas between them, or a new snapshot"
    )]
    Gap {
        /// The version that is there.
        have: u64,
        /// The one that was offered.
        offered: u64,
    },
    /// A delta does not fit the keys that are there.
    #[error("the delta to version {version} does not fit the copy; fetch a new snapshot and report it")]
    Inconsistent {
        /// The version that it leads to.
        version: u64,
    },
    /// More than [`MAX_CHANGES`] since the snapshot.
    #[error("{0} changes are too many for a delta; use a new snapshot")]
    TooManyChanges(u64),
    /// More keys than a copy can have: `u32::MAX`.
    #[error("{0} keys are too many for an offline copy; publish fewer databases in one")]
    TooManyKeys(u64),
    /// [`REFUSED_AFTER`] has passed.
    #[error("the offline copy is {} hours old, which is too old to answer; fetch a newer one", .age.as_secs() / 3600)]
    TooOld {
        /// When the network was as it says.
        as_of: Timestamp,
        /// How old that is.
        age: Duration,
    },
    /// The clock here is behind the copy.
    #[error("the clock here is behind the date of the offline copy; set the clock")]
    ClockBehind {
        /// The copy's date.
        as_of: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// The copy has no keys of that database.
    #[error("the offline copy does not have {0}; ask on line, or fetch a copy that has it")]
    NotCovered(String),
    /// Base and supplement are of different moments.
    #[error("the base and the supplement of the offline copy do not belong together; fetch both again")]
    Apart,
    /// More than [`MAX_QUESTIONS`] keys, or than a copy of this size may be asked at once.
    #[error("{0} keys are too many for one check; ask for less at once, and name the country that issued")]
    TooManyQuestions(usize),
}

/// A base and perhaps a supplement: what a post asks.
#[derive(Clone, Debug)]
pub struct OfflineCopy {
    base: Holding,
    supplement: Option<Holding>,
}

/// A key that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name of its database.
    pub database: &'a str,
    /// What stands for the key.
    pub key: Fingerprint,
}

/// What a copy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was found.
    pub finding: Finding,
    /// When the network was as the copy says; of two parts, the older.
    pub as_of: Timestamp,
    /// How old that is when it is older than [`OLD_AFTER`]: to be shown beside the answer.
    pub old: Option<Duration>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// None of the keys was recorded then.
    NoRecord,
    /// These questions, by their numbers from 0 on, may have met something. Ask on line before anything is done.
    Possible(Vec<usize>),
}

impl OfflineCopy {
    /// A copy of `network` for a post of `country`.
    ///
    /// # Errors
    /// [`OfflineError::Network`] and [`OfflineError::Scope`] when a part is not what belongs here; [`OfflineError::Apart`]
    /// when the two are not of one moment.
    pub fn new(
        network: Hash,
        country: CountryCode,
        base: Holding,
        supplement: Option<Holding>,
    ) -> Result<Self, OfflineError> {
        let belongs = |holding: &Holding, expected: Scope| {
            let About { network: of, scope: found, .. } = *holding.about();
            match (of == network, found == expected) {
                (false, _) => Err(OfflineError::Network),
                (true, false) => Err(OfflineError::Scope { expected, found }),
                (true, true) => Ok(()),
            }
        };
        belongs(&base, Scope::Base)?;
        if let Some(supplement) = &supplement {
            belongs(supplement, Scope::Supplement(country))?;
            if supplement.through() != base.through() {
                return Err(OfflineError::Apart);
            }
        }
        Ok(Self { base, supplement })
    }

    /// Asks for the keys of one check; `now` is the post's clock.
    ///
    /// # Errors
    /// [`OfflineError::TooOld`], [`OfflineError::ClockBehind`], [`OfflineError::NotCovered`],
    /// [`OfflineError::TooManyQuestions`]: there is no answer then, not "no record".
    pub fn check(&self, questions: &[Question<'_>], now: Timestamp) -> Result<Answer, OfflineError> {
        let most = usize::try_from(COMPARISONS / self.keys().max(1))
            .map_or(MAX_QUESTIONS, |most| most.min(MAX_QUESTIONS));
        if questions.len() > most {
            return Err(OfflineError::TooManyQuestions(questions.len()));
        }
        let as_of = self.as_of();
        let newest = self.parts().map(Holding::as_of).max().unwrap_or(as_of);
        if newest > now.plus(CLOCK_TOLERANCE) {
            return Err(OfflineError::ClockBehind { as_of: newest, now });
        }
        let age = now.since(as_of);
        if age > REFUSED_AFTER {
            return Err(OfflineError::TooOld { as_of, age });
        }
        let mut possible = Vec::new();
        for (number, question) in questions.iter().enumerate() {
            let covers = |part: &Holding| part.about().databases.iter().any(|name| name == question.database);
            // A supplement that leaves a database out would make restricted records of it vanish.
            if !self.parts().all(covers) {
                return Err(OfflineError::NotCovered(question.database.to_owned()));
            }
            if self.parts().any(|part| part.contains(question.key)) {
                possible.push(number);
            }
        }
        let finding = if possible.is_empty() { Finding::NoRecord } else { Finding::Possible(possible) };
        Ok(Answer { finding, as_of, old: (age > OLD_AFTER).then_some(age) })
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.parts().map(Holding::keys).sum()
    }

    /// When the network was as the copy says; of two parts, the older.
    #[must_use]
    pub fn as_of(&self) -> Timestamp {
        self.parts().map(Holding::as_of).min().unwrap_or_else(|| self.base.as_of())
    }

    /// Base and supplement.
    pub fn parts(&self) -> impl Iterator<Item = &Holding> {
        std::iter::once(&self.base).chain(&self.supplement)
    }
}
