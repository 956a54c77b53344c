//! The keys under which persons are found, and what is made of those that agree with a question.
//!
//! Which keys a person shares with a question is kept as bits: two for each word asked for (one if a word is nearly
//! there, both if its skeleton is), one for the year and two for the day of birth. Who has more bits is looked at first.

use std::collections::BTreeSet;

use super::name::Word;
use super::{Name, Person, Query};

/// What a key is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A skeleton.
    Full,
    /// A skeleton with one consonant left out.
    Near,
    /// A year of birth.
    Year,
    /// Month and day of a birth: 312 for 12 March. Without the year, so that a slip in the year does not hide it.
    Day,
}

impl Kind {
    /// All of them, in order.
    pub(super) const ALL: [Self; 4] = [Self::Full, Self::Near, Self::Year, Self::Day];
}

/// The bits of a person who shares keys with a question.
pub(super) type Bits = u32;

const NEARLY: Bits = 0b01;
const WHOLLY: Bits = 0b11;
const YEAR_AT: u32 = 20;
const DAY_AT: u32 = 21;
/// Two for each of the ten words that a name may have.
const WORD_BITS: Bits = (1 << YEAR_AT) - 1;

/// How promising a person is; nought if no word of the name agrees.
pub(super) fn weight(bits: Bits) -> usize {
    if bits & WORD_BITS == 0 { 0 } else { bits.count_ones() as usize }
}

/// More than any [`weight`].
pub(super) const WEIGHTS: usize = 24;

/// The keys of a person, each once, sorted.
pub(super) fn keys_of(person: &Person) -> BTreeSet<(Kind, u64)> {
    let mut keys = BTreeSet::new();
    for name in &person.names {
        for word in &name.words {
            for skeleton in word.skeletons() {
                keys.insert((Kind::Full, skeleton.key()));
                keys.extend(skeleton.near_keys().into_iter().map(|key| (Kind::Near, key)));
            }
        }
        keys.extend(joined(name).map(|(_, key)| (Kind::Full, key)));
    }
    for birth in &person.births {
        keys.extend(birth.years().map(|year| (Kind::Year, u64::from(year))));
        keys.extend(birth.day().map(|day| (Kind::Day, u64::from(day % 10_000))));
    }
    keys
}

/// The keys that a question is looked up by, and the bits of those who have them.
pub(super) fn keys_asked(query: &Query) -> Vec<(Kind, u64, Bits)> {
    let mut keys = Vec::new();
    for (at, word) in query.name.words.iter().enumerate() {
        for skeleton in word.skeletons() {
            // Neither has a letter too many; the record has one; the question has one; each has one.
            keys.push((Kind::Full, skeleton.key(), WHOLLY << (2 * at)));
            keys.push((Kind::Near, skeleton.key(), NEARLY << (2 * at)));
            for key in skeleton.near_keys() {
                keys.push((Kind::Full, key, NEARLY << (2 * at)));
                keys.push((Kind::Near, key, NEARLY << (2 * at)));
            }
        }
    }
    keys.extend(joined(&query.name).map(|(at, key)| (Kind::Full, key, WHOLLY << (2 * at))));
    if let Some(birth) = query.birth {
        keys.extend(birth.years().map(|year| (Kind::Year, u64::from(year), 1 << YEAR_AT)));
        keys.extend(birth.day().map(|day| (Kind::Day, u64::from(day % 10_000), 0b11 << DAY_AT)));
    }
    keys
}

/// The keys of neighbouring words written as one, each with the place of the first.
fn joined(name: &Name) -> impl Iterator<Item = (usize, u64)> {
    let key = |two: &[Word]| super::sound::Skeleton::of(&two[0].joined(&two[1]).sounds);
    name.words.windows(2).enumerate().filter_map(move |(at, two)| Some((at, key(two)?.key())))
}
