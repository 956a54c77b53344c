//! Precision and recall of the search over a generated world, at a threshold.

use std::collections::BTreeMap;

use i247_records::nominal::{Match, Persons};

use super::questions::Question;
use super::world::World;

/// What a match is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The person who was meant.
    Meant,
    /// A namesake whom nothing on paper tells from that person: neither right nor wrong.
    Namesake,
    /// Somebody else.
    Other,
}

/// What a run over all questions gave.
pub(crate) struct Measured {
    found: Vec<(u16, Verdict)>,
    /// Questions about persons who have a record.
    meant: usize,
    /// Questions whose person is not found, with the score that it would have if nobody else were there.
    pub(crate) missed: Vec<String>,
    /// Matches of somebody else.
    pub(crate) wrong: Vec<String>,
    kinds: BTreeMap<&'static str, Kind>,
}

/// The questions of one kind, at the threshold of the run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Kind {
    /// Persons who were meant and have a record.
    pub(crate) meant: usize,
    /// How many of them were found.
    pub(crate) found: usize,
    /// Matches of somebody else.
    pub(crate) wrong: usize,
}

impl Kind {
    /// Of the persons who were meant and have a record, how many are found.
    pub(crate) fn recall(&self) -> f64 {
        self.found as f64 / self.meant.max(1) as f64
    }
}

impl Measured {
    /// Asks all questions, each from `at_least` on; keeps examples of what goes wrong at `threshold`.
    pub(crate) fn run(
        world: &World,
        persons: &Persons,
        questions: &[Question],
        at_least: u16,
        threshold: u16,
    ) -> Self {
        let mut measured = Self {
            found: Vec::new(),
            meant: 0,
            missed: Vec::new(),
            wrong: Vec::new(),
            kinds: BTreeMap::new(),
        };
        for question in questions {
            let mut query = question.query.clone();
            query.at_least = at_least;
            query.limit = 100;
            let matches = persons.search(&query, |_| true).unwrap();
            let wrong = measured.count(world, question, &matches, threshold);
            let is_found = question.meant.is_some_and(|meant| {
                matches.iter().any(|found| found.locator == meant && found.score >= threshold)
            });
            for name in &question.kinds {
                let kind = measured.kinds.entry(name).or_default();
                kind.meant += usize::from(question.meant.is_some());
                kind.found += usize::from(is_found);
                kind.wrong += wrong;
            }
            let Some(meant) = question.meant else { continue };
            if !is_found {
                query.at_least = 0;
                let alone = persons.search(&query, |locator| locator == meant).unwrap();
                let score = alone
                    .first()
                    .map_or("not a candidate".into(), |found| format!("{} {found}", found.score));
                let paper = &world.papers[meant as usize];
                measured.missed.push(format!("{}\n    {paper}\n    {score}", question.text));
            }
        }
        measured
    }

    /// Counts the matches of a question, and says how many are of somebody else.
    fn count(&mut self, world: &World, question: &Question, matches: &[Match], threshold: u16) -> usize {
        self.meant += usize::from(question.meant.is_some());
        let wrong = self.wrong.len();
        for found in matches {
            let verdict = if Some(found.locator) == question.meant {
                Verdict::Meant
            } else if world.cannot_be_told_apart(found.locator as usize, &question.someone, question.known) {
                Verdict::Namesake
            } else {
                Verdict::Other
            };
            if verdict == Verdict::Other && found.score >= threshold {
                let paper = &world.papers[found.locator as usize];
                self.wrong.push(format!("{}\n    {paper}\n    {} {found}", question.text, found.score));
            }
            self.found.push((found.score, verdict));
        }
        self.wrong.len() - wrong
    }

    /// Of the matches from this score on, how many are the person who was meant; namesakes who cannot be told from that
    /// person left aside.
    pub(crate) fn precision(&self, threshold: u16) -> f64 {
        let meant = self.with(Verdict::Meant, threshold);
        meant as f64 / (meant + self.with(Verdict::Other, threshold)).max(1) as f64
    }

    /// The same, such namesakes counted as wrong.
    pub(crate) fn strict_precision(&self, threshold: u16) -> f64 {
        let meant = self.with(Verdict::Meant, threshold);
        let others = self.with(Verdict::Other, threshold) + self.with(Verdict::Namesake, threshold);
        meant as f64 / (meant + others).max(1) as f64
    }

    /// Of the persons who were meant and have a record, how many are found from this score on.
    pub(crate) fn recall(&self, threshold: u16) -> f64 {
        self.with(Verdict::Meant, threshold) as f64 / self.meant.max(1) as f64
    }

    /// By the tongue, and by what was done to the name and to the birth: those first of which least are found.
    pub(crate) fn by_kind(&self) -> Vec<(&'static str, Kind)> {
        let mut kinds: Vec<_> = self.kinds.iter().map(|(name, kind)| (*name, *kind)).collect();
        kinds.sort_by(|(_, a), (_, b)| a.recall().total_cmp(&b.recall()));
        kinds
    }

    fn with(&self, verdict: Verdict, threshold: u16) -> usize {
        self.found.iter().filter(|(score, of)| *of == verdict && *score >= threshold).count()
    }
}
