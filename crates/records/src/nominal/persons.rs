//! All persons that can be searched for: those that came lately, and segments of those before them.
//!
//! The answer depends on the persons and their order alone, not on how they are spread over segments; and one who may
//! not see a person gets byte for byte the answer of an index without that person. No thread, no disk, no clock: the
//! index is a view that is rebuilt from the log, and whoever holds it says when segments are merged, and where.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::keys::{Bits, Kind, WEIGHTS, keys_asked, keys_of, weight};
use super::segment::Segment;
use super::{MATCHES_MAX, Match, Person, Query, compare};

/// Persons that come one by one wait here, unindexed, for the next merge. With more of them searches get slow.
pub const FRESH_MAX: usize = 1024;
/// Most persons that a search looks at closely.
pub const CANDIDATES_MAX: usize = 2000;
/// Fewer bits than this promise nothing: one word that is nearly there.
const WEIGHT_MIN: usize = 2;

/// What fails in an index: memory that is not what was written there. None of it has to do with a question.
#[derive(Debug, thiserror::Error)]
pub enum NominalError {
    /// The inverted index cannot be written or read.
    #[error("the index of names cannot be used")]
    Index(#[from] tantivy::TantivyError),
    /// A list of the inverted index cannot be read.
    #[error("a list of the index of names cannot be read")]
    List(#[from] std::io::Error),
    /// A person in it cannot be packed or read.
    #[error("a person in the index of names cannot be read")]
    Person(#[from] postcard::Error),
    /// A segment without persons.
    #[error("an index of names without persons")]
    Empty,
}

/// The persons, searchable. A clone shares what it holds, and goes on answering as of when it was made.
#[derive(Clone, Default)]
pub struct Persons {
    /// In the order in which the persons came; the fresh ones come after all of them.
    segments: Vec<Arc<Segment>>,
    fresh: Vec<Arc<Fresh>>,
    /// Not yet forgotten, and found no more.
    withdrawn: BTreeSet<u64>,
}

struct Fresh {
    person: Person,
    keys: BTreeSet<(Kind, u64)>,
}

/// Some of the youngest segments and all fresh persons, to be made one segment. Made by [`Persons::merge_due`].
pub struct Merge {
    segments: Vec<Arc<Segment>>,
    fresh: Vec<Person>,
    withdrawn: BTreeSet<u64>,
}

/// A merge that is built, to be put in place by [`Persons::install`].
pub struct Merged {
    segment: Option<Segment>,
    segments: usize,
    fresh: usize,
    dropped: Vec<u64>,
}

impl Persons {
    /// An index of these persons, in one segment.
    ///
    /// # Errors
    /// [`NominalError`] if the index cannot be written.
    pub fn from_all(persons: impl IntoIterator<Item = Person>) -> Result<Self, NominalError> {
        let mut persons = persons.into_iter().peekable();
        if persons.peek().is_none() {
            return Ok(Self::default());
        }
        let segment = Segment::build(persons.map(Ok))?;
        Ok(Self { segments: vec![Arc::new(segment)], ..Self::default() })
    }

    /// Adds a person. One that has changed comes under a new locator, and the old one is withdrawn.
    pub fn add(&mut self, person: Person) {
        let keys = keys_of(&person);
        self.fresh.push(Arc::new(Fresh { person, keys }));
    }

    /// Nobody finds the person at this locator any more. The index forgets them wholly at the next merge of their
    /// segment; [`Persons::merge_all`] does so at once.
    pub fn withdraw(&mut self, locator: u64) {
        self.withdrawn.insert(locator);
    }

    /// How many persons lie in it, those included that are withdrawn and not yet forgotten.
    pub fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.len()).sum::<usize>() + self.fresh.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Who may be meant, the best first, those with the same score by locator. Only persons whom `may_see` lets
    /// through are looked at; they alone decide what is in the answer.
    ///
    /// # Errors
    /// [`NominalError`] if the index cannot be read.
    pub fn search(&self, query: &Query, may_see: impl Fn(u64) -> bool) -> Result<Vec<Match>, NominalError> {
        let mut matches = Vec::new();
        for place in self.candidates(query, may_see)? {
            let found = match place {
                Place::Fresh(at) => compare(query, &self.fresh[at].person),
                Place::Segment(segment, at) => compare(query, &self.segments[segment].person(at)?),
            };
            matches.extend(found);
        }
        matches.sort_by_key(|found: &Match| (std::cmp::Reverse(found.score), found.locator));
        matches.truncate(query.limit.min(MATCHES_MAX));
        Ok(matches)
    }
}

/// How many there are, and nothing about them.
impl fmt::Debug for Persons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Persons({})", self.len())
    }
}

/// Where a person lies.
enum Place {
    Segment(usize, usize),
    Fresh(usize),
}

impl Persons {
    /// The most promising of those that may be seen; of equals, the first that came.
    fn candidates(&self, query: &Query, may_see: impl Fn(u64) -> bool) -> Result<Vec<Place>, NominalError> {
        let asked = keys_asked(query);
        let mut weights: Vec<Vec<u8>> = Vec::with_capacity(self.segments.len() + 1);
        for segment in &self.segments {
            weights.push(segment.bits(&asked)?.into_iter().map(weigh).collect());
        }
        weights.push(self.fresh.iter().map(|fresh| weigh(shared(&fresh.keys, &asked))).collect());
        let mut found = Vec::new();
        for wanted in (WEIGHT_MIN..WEIGHTS).rev() {
            for (part, weights) in weights.iter().enumerate() {
                for (at, _) in
                    weights.iter().enumerate().filter(|(_, weight)| usize::from(**weight) == wanted)
                {
                    let (place, locator) = match self.segments.get(part) {
                        Some(segment) => (Place::Segment(part, at), segment.locator(at)),
                        None => (Place::Fresh(at), self.fresh[at].person.locator),
                    };
                    if self.withdrawn.contains(&locator) || !may_see(locator) {
                        continue;
                    }
                    found.push(place);
                    if found.len() == CANDIDATES_MAX {
                        return Ok(found);
                    }
                }
            }
        }
        Ok(found)
    }

    /// The merge to be made now, if fresh persons have gathered. Merging takes the youngest segments along that are
    /// not much larger, so there are never many.
    pub fn merge_due(&self) -> Option<Merge> {
        if self.fresh.len() < FRESH_MAX {
            return None;
        }
        let mut persons = self.fresh.len();
        let mut from = self.segments.len();
        while from > 0 && self.segments[from - 1].len() <= 2 * persons {
            from -= 1;
            persons += self.segments[from].len();
        }
        Some(self.merge(from))
    }

    /// The merge of everything into one segment, which forgets all who are withdrawn.
    pub fn merge_all(&self) -> Merge {
        self.merge(0)
    }

    fn merge(&self, from: usize) -> Merge {
        Merge {
            segments: self.segments[from..].to_vec(),
            fresh: self.fresh.iter().map(|fresh| fresh.person.clone()).collect(),
            withdrawn: self.withdrawn.clone(),
        }
    }

    /// Puts a merge in place. Persons may have come and gone while it was built, but no other merge may have been
    /// installed.
    pub fn install(&mut self, merged: Merged) {
        self.segments.truncate(self.segments.len() - merged.segments);
        self.segments.extend(merged.segment.map(Arc::new));
        self.fresh.drain(..merged.fresh);
        for locator in merged.dropped {
            self.withdrawn.remove(&locator);
        }
    }
}

impl Merge {
    /// Builds the merged segment. This is the slow part, about ten seconds for a million persons; it needs no lock
    /// on the index, which goes on being searched.
    ///
    /// # Errors
    /// [`NominalError`] if a segment cannot be read or the new one cannot be written.
    pub fn build(self) -> Result<Merged, NominalError> {
        let (segments, fresh) = (self.segments.len(), self.fresh.len());
        let mut dropped = Vec::new();
        let is_kept = |person: &Result<Person, NominalError>| match person {
            Ok(person) if self.withdrawn.contains(&person.locator) => {
                dropped.push(person.locator);
                false
            }
            _ => true,
        };
        let old =
            self.segments.iter().flat_map(|segment| (0..segment.len()).map(|place| segment.person(place)));
        let segment = {
            let mut kept = old.chain(self.fresh.into_iter().map(Ok)).filter(is_kept).peekable();
            if kept.peek().is_some() { Some(Segment::build(kept)?) } else { None }
        };
        Ok(Merged { segment, segments, fresh, dropped })
    }
}

fn weigh(bits: Bits) -> u8 {
    // A weight is below WEIGHTS.
    weight(bits) as u8
}

/// The bits of a person with these keys.
fn shared(keys: &BTreeSet<(Kind, u64)>, asked: &[(Kind, u64, Bits)]) -> Bits {
    asked
        .iter()
        .filter(|(kind, key, _)| keys.contains(&(*kind, *key)))
        .fold(0, |bits, (_, _, shared)| bits | shared)
}

#[cfg(test)]
mod tests {
    use super::super::{Birth, Name, SCORE_MAX};
    use super::*;

    fn person(locator: u64, surname: &str, given: &str, year: u16) -> Person {
        let name = Name::new(surname, given).unwrap();
        Person::new(locator, vec![name], vec![Birth::in_year(year).unwrap()], Vec::new()).unwrap()
    }

    /// Persons of three surnames that are easily taken for each other.
    fn many(count: u64) -> Vec<Person> {
        let surname = |at: u64| ["Doranov", "Doronov", "Duranof"][at as usize % 3];
        let given = |at: u64| ["Ivan", "Iwan", "Oleg", "Jovan"][at as usize % 4];
        (0..count).map(|at| person(at, surname(at), given(at), 1970 + (at % 5) as u16)).collect()
    }

    fn query() -> Query {
        Query { limit: 100, ..Query::new(Name::whole("Ivan Doranov").unwrap(), Birth::in_year(1972).ok()) }
    }

    fn found(persons: &Persons) -> Vec<Match> {
        persons.search(&query(), |_| true).unwrap()
    }

    #[test]
    fn the_best_come_first() {
        let persons = Persons::from_all([
            person(1, "Doronof", "Iwan", 1972),
            person(2, "Doranov", "Ivan", 1972),
            person(3, "Doranov", "Ivan", 1990),
            person(4, "Castellet", "Pilar", 1972),
        ]);
        let found: Vec<u64> = found(&persons.unwrap()).iter().map(|found| found.locator).collect();
        assert_eq!(found, [2, 1]);
    }

    #[test]
    fn nobody_is_found_where_nobody_is() {
        assert_eq!(found(&Persons::default()), []);
        assert_eq!(found(&Persons::from_all([]).unwrap()), []);
    }

    #[test]
    fn the_answer_does_not_depend_on_the_segments() {
        let one = Persons::from_all(many(3000)).unwrap();
        let mut grown = Persons::default();
        for person in many(3000) {
            grown.add(person);
            if let Some(merge) = grown.merge_due() {
                grown.install(merge.build().unwrap());
            }
        }
        assert_eq!(grown.len(), 3000);
        assert!(!grown.segments.is_empty() && !grown.fresh.is_empty());
        assert_eq!(found(&grown), found(&one));
        assert_eq!(found(&one).len(), 100);
    }

    #[test]
    fn who_may_not_see_a_person_gets_the_answer_of_an_index_without_them() {
        // More than the search looks at closely, so that a hidden person could take a place from another.
        let hidden = |locator: u64| locator.is_multiple_of(3);
        let all = Persons::from_all(many(9000)).unwrap();
        let without =
            Persons::from_all(many(9000).into_iter().filter(|person| !hidden(person.locator))).unwrap();
        let seen = all.search(&query(), |locator| !hidden(locator)).unwrap();
        assert_eq!(seen, found(&without));
        assert!(!seen.is_empty());
    }

    #[test]
    fn a_withdrawn_person_is_found_no_more_and_forgotten_by_the_next_merge() {
        let mut persons = Persons::from_all(many(10)).unwrap();
        persons.add(person(10, "Doranov", "Ivan", 1972));
        assert_eq!(found(&persons)[0].locator, 10);
        persons.withdraw(10);
        persons.withdraw(0);
        assert!(found(&persons).iter().all(|found| found.locator != 10));
        let merged = persons.merge_all().build().unwrap();
        persons.install(merged);
        assert_eq!(persons.len(), 9);
        assert!(persons.withdrawn.is_empty());
        assert!(found(&persons).iter().all(|found| found.locator != 10));
    }

    #[test]
    fn persons_come_and_go_while_a_merge_is_built() {
        let mut persons = Persons::from_all(many(10)).unwrap();
        let merge = persons.merge_all();
        persons.add(person(11, "Doranov", "Ivan", 1972));
        persons.withdraw(2);
        persons.install(merge.build().unwrap());
        let locators: Vec<u64> = found(&persons).iter().map(|found| found.locator).collect();
        assert!(locators.contains(&11) && !locators.contains(&2));
        assert_eq!(persons.len(), 11);
    }

    #[test]
    fn an_index_that_loses_everybody_is_empty() {
        let mut persons = Persons::from_all(many(3)).unwrap();
        (0..3).for_each(|locator| persons.withdraw(locator));
        persons.install(persons.merge_all().build().unwrap());
        assert!(persons.is_empty());
    }

    #[test]
    fn merges_keep_the_segments_few() {
        let mut persons = Persons::default();
        for person in many(20_000) {
            persons.add(person);
            if let Some(merge) = persons.merge_due() {
                persons.install(merge.build().unwrap());
            }
        }
        assert!(persons.segments.len() <= 4, "{}", persons.segments.len());
    }

    #[test]
    fn an_answer_is_as_long_as_the_question_says_and_never_longer_than_the_limit() {
        let persons = Persons::from_all(many(3000)).unwrap();
        let asked = |limit| persons.search(&Query { limit, ..query() }, |_| true).unwrap().len();
        assert_eq!(asked(3), 3);
        assert_eq!(asked(usize::MAX), MATCHES_MAX);
        assert_eq!(asked(0), 0);
    }

    #[test]
    fn a_question_that_asks_for_more_than_there_is_finds_nobody() {
        let persons = Persons::from_all(many(30)).unwrap();
        let asked = Query { at_least: SCORE_MAX + 1, ..query() };
        assert_eq!(persons.search(&asked, |_| true).unwrap(), []);
    }
}
